// SPDX-License-Identifier: Apache-2.0
#include "server/store/partition_groups.h"

#include <algorithm>
#include <utility>

#include "absl/hash/hash.h"
#include "absl/strings/str_cat.h"
#include "common/status.h"
#include "server/store/address.h"
#include "server/store/verdict_name.h"

namespace postern::server {
namespace {

// Some 150 bytes each.
constexpr size_t kMaxKeys = 250'000;

constexpr const char* kReadTraits =
    "SELECT uid, user, exe, script, rule, unit, container, comm FROM traits WHERE id = ?1";

// The column of kReadTraits; -1 for what is none of its.
int TraitsColumn(GroupField field) {
  switch (field) {
    case GroupField::kUid:
      return 0;
    case GroupField::kUser:
      return 1;
    case GroupField::kExe:
      return 2;
    case GroupField::kScript:
      return 3;
    case GroupField::kRule:
      return 4;
    case GroupField::kUnit:
      return 5;
    case GroupField::kContainer:
      return 6;
    case GroupField::kComm:
      return 7;
    case GroupField::kHost:
    case GroupField::kDestination:
    case GroupField::kPort:
    case GroupField::kVerdict:
      return -1;
  }
  return -1;
}

}  // namespace

PartitionGroups::PartitionGroups(Database& partition, const std::vector<GroupField>& fields,
                                 GroupSums& sums)
    : partition_(partition), fields_(fields), sums_(sums) {}

bool PartitionGroups::Wants(GroupField field) const {
  return std::find(fields_.begin(), fields_.end(), field) != fields_.end();
}

bool PartitionGroups::WantsTraits() const {
  return std::any_of(fields_.begin(), fields_.end(),
                     [](GroupField field) { return TraitsColumn(field) >= 0; });
}

std::string PartitionGroups::Columns(bool of_summaries) const {
  return absl::StrCat(Wants(GroupField::kHost) ? "e.host" : "0", ", ",
                      WantsTraits() ? "e.traits" : "0", ", ",
                      Wants(GroupField::kVerdict) ? "e.verdict" : "0", ", ",
                      Wants(GroupField::kPort) ? "e.port" : "0", ", ",
                      Wants(GroupField::kDestination) ? "e.destination" : "NULL", ", e.attempts, ",
                      of_summaries ? "e.first, e.last " : "e.time, e.time + e.length ");
}

absl::StatusOr<bool> PartitionGroups::Add(Statement select) {
  const bool destinations = Wants(GroupField::kDestination);
  Key key;
  while (true) {
    ASSIGN_OR_RETURN(const bool row, select.Step());
    if (!row) return true;
    key.host = select.Int(0);
    key.traits = select.Int(1);
    key.verdict = select.Int(2);
    key.port = select.Int(3);
    if (destinations) {
      key.ipv4 = -1;
      key.ipv6.clear();
      if (select.IsInt(4)) {
        key.ipv4 = select.Int(4);
      } else {
        key.ipv6 = std::string(select.Blob(4));
      }
      if (!sums_.Takes(absl::HashOf(key.ipv4, key.ipv6))) continue;
    }
    groups_[key].Add({select.Int(5), select.Int(6), select.Int(7)});
    if (groups_.size() < kMaxKeys) continue;
    ASSIGN_OR_RETURN(const bool more, Flush());
    if (!more) return false;
  }
}

absl::StatusOr<bool> PartitionGroups::Flush() {
  // By traits: each is read once.
  std::vector<std::pair<Key, Sums>> groups(groups_.begin(), groups_.end());
  groups_.clear();
  std::sort(groups.begin(), groups.end(),
            [](const auto& a, const auto& b) { return a.first.traits < b.first.traits; });
  std::vector<std::string> values(fields_.size());
  for (const auto& [key, sums] : groups) {
    if (key.traits != 0) RETURN_IF_ERROR(ReadTraits(key.traits));
    for (size_t i = 0; i < fields_.size(); ++i) {
      ASSIGN_OR_RETURN(values[i], Value(fields_[i], key));
    }
    if (!sums_.Add(values, sums)) return false;
  }
  return true;
}

absl::StatusOr<std::string> PartitionGroups::Value(GroupField field, const Key& key) {
  switch (field) {
    case GroupField::kHost:
      return HostName(key.host);
    case GroupField::kVerdict:
      return VerdictName(key.verdict);
    case GroupField::kPort:
      return key.port == 0 ? std::string() : absl::StrCat(key.port);
    case GroupField::kDestination: {
      if (key.ipv4 >= 0) return FormatAddress(Ipv4FromNumber(key.ipv4));
      const std::optional<Address> address = AddressFromBytes(key.ipv6);
      return address ? FormatAddress(*address) : std::string();
    }
    default:
      return traits_[static_cast<size_t>(TraitsColumn(field))];
  }
}

absl::StatusOr<std::string> PartitionGroups::HostName(int64_t id) {
  const auto found = hosts_.find(id);
  if (found != hosts_.end()) return found->second;
  ASSIGN_OR_RETURN(Statement select, partition_.Prepare("SELECT host FROM hosts WHERE id = ?1"));
  select.Bind(1, id);
  ASSIGN_OR_RETURN(const bool row, select.Step());
  std::string name = row ? std::string(select.Text(0)) : std::string();
  hosts_.emplace(id, name);
  return name;
}

absl::Status PartitionGroups::ReadTraits(int64_t id) {
  if (id == traits_id_) return absl::OkStatus();
  if (!read_traits_) {
    ASSIGN_OR_RETURN(Statement select, partition_.Prepare(kReadTraits));
    read_traits_.emplace(std::move(select));
  }
  read_traits_->Reset();
  read_traits_->Bind(1, id);
  ASSIGN_OR_RETURN(const bool row, read_traits_->Step());
  for (size_t i = 0; i < traits_.size(); ++i) {
    traits_[i] = row ? std::string(read_traits_->Text(static_cast<int>(i))) : std::string();
  }
  traits_id_ = id;
  return absl::OkStatus();
}

}  // namespace postern::server
