// SPDX-License-Identifier: Apache-2.0
#include "server/store/partition_groups.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/status.h"
#include "postern/v1/event.pb.h"
#include "server/store/address.h"

namespace postern::server {
namespace {

// Some 200 bytes each.
constexpr size_t kMaxKeys = 250'000;

constexpr const char* kAddRow = "add_to_group";
constexpr int kAddRowValues = 8;

// Of table `traits`; nullptr for what stands elsewhere.
const char* TraitsColumn(GroupField field) {
  switch (field) {
    case GroupField::kUid:
      return "uid";
    case GroupField::kUser:
      return "user";
    case GroupField::kExe:
      return "exe";
    case GroupField::kScript:
      return "script";
    case GroupField::kRule:
      return "rule";
    case GroupField::kUnit:
      return "unit";
    case GroupField::kContainer:
      return "container";
    case GroupField::kComm:
      return "comm";
    case GroupField::kHost:
    case GroupField::kDestination:
    case GroupField::kPort:
    case GroupField::kVerdict:
      return nullptr;
  }
  return nullptr;
}

std::vector<const char*> TraitsColumns(const std::vector<GroupField>& fields) {
  std::vector<const char*> columns;
  for (const GroupField field : fields) {
    if (const char* column = TraitsColumn(field)) columns.push_back(column);
  }
  return columns;
}

// Those that have no name are all the same.
uint8_t KnownVerdict(int64_t verdict) {
  return verdict > 0 && verdict <= v1::Event::Verdict_MAX ? static_cast<uint8_t>(verdict) : 0;
}

void ReadDestination(sqlite3_value* value, GroupNumbers& numbers) {
  if (sqlite3_value_type(value) == SQLITE_INTEGER) {
    numbers.has_ipv4 = true;
    numbers.ipv4 = static_cast<uint32_t>(sqlite3_value_int64(value));
    return;
  }
  const auto* bytes = static_cast<const char*>(sqlite3_value_blob(value));
  const auto size = static_cast<size_t>(sqlite3_value_bytes(value));
  if (const std::optional<Address> address = AddressFromBytes({bytes, size})) {
    numbers.has_ipv6 = true;
    numbers.ipv6 = *address;
  }
}

// Nothing is answered: the rows were what mattered.
void EndOfRows(sqlite3_context*) {}

}  // namespace

PartitionGroups::PartitionGroups(Database& partition, GroupSums& sums)
    : partition_(partition),
      sums_(sums),
      wants_destination_(Wants(GroupField::kDestination)),
      wants_texts_(
          absl::c_any_of(sums.fields(), [](GroupField field) { return !IsNumber(field); })),
      traits_columns_(TraitsColumns(sums.fields())),
      traits_(traits_columns_.size()) {
  // Where this fails SQLite knows no such function, and Add() says so.
  sqlite3_create_function_v2(partition_.handle(), kAddRow, kAddRowValues,
                             SQLITE_UTF8 | SQLITE_DIRECTONLY, this, nullptr, &AddRow, &EndOfRows,
                             nullptr);
}

PartitionGroups::~PartitionGroups() {
  // SQLite lets go of no function while a statement is under way.
  read_traits_.reset();
  sqlite3_create_function_v2(partition_.handle(), kAddRow, kAddRowValues, SQLITE_UTF8, nullptr,
                             nullptr, nullptr, nullptr, nullptr);
}

bool PartitionGroups::Wants(GroupField field) const {
  return absl::c_linear_search(sums_.fields(), field);
}

absl::Status PartitionGroups::Add(bool of_summaries, absl::string_view from,
                                  const Parameters& parameters) {
  // What is not grouped by is a constant, so that it need not be read.
  ASSIGN_OR_RETURN(
      Statement select,
      partition_.Prepare(absl::StrCat(
          "SELECT ", kAddRow, "(", Wants(GroupField::kHost) ? "e.host" : "0", ", ",
          traits_columns_.empty() ? "0" : "e.traits", ", ",
          Wants(GroupField::kVerdict) ? "e.verdict" : "0", ", ",
          Wants(GroupField::kPort) ? "e.port" : "0", ", ",
          Wants(GroupField::kDestination) ? "e.destination" : "NULL", ", e.attempts, ",
          of_summaries ? "e.first, e.last - e.first" : "e.time, e.length", ") ", from)));
  parameters.BindTo(select);
  const absl::Status ran = select.Run();
  return failure_.ok() ? ran : failure_;
}

void PartitionGroups::AddRow(sqlite3_context* context, int /*count*/, sqlite3_value** values) {
  auto& groups = *static_cast<PartitionGroups*>(sqlite3_user_data(context));
  if (!groups.failure_.ok()) return;
  groups.failure_ = groups.AddRow(values);
  if (!groups.failure_.ok()) sqlite3_result_error_code(context, SQLITE_ABORT);
}

absl::Status PartitionGroups::AddRow(sqlite3_value** values) {
  Key key;
  key.numbers.verdict = KnownVerdict(sqlite3_value_int64(values[2]));
  key.numbers.port = sqlite3_value_int64(values[3]);
  if (wants_destination_) ReadDestination(values[4], key.numbers);
  const int64_t first = sqlite3_value_int64(values[6]);
  // Of a damaged row it may run over.
  const auto last = static_cast<int64_t>(static_cast<uint64_t>(first) +
                                         static_cast<uint64_t>(sqlite3_value_int64(values[7])));
  const Sums sums{sqlite3_value_int64(values[5]), first, last};
  if (!wants_texts_) {
    sums_.Add(key.numbers, {}, sums);
    return absl::OkStatus();
  }
  key.host = sqlite3_value_int64(values[0]);
  key.traits = sqlite3_value_int64(values[1]);
  groups_[key].Add(sums);
  return groups_.size() < kMaxKeys ? absl::OkStatus() : Flush();
}

absl::Status PartitionGroups::Flush() {
  // By traits: each is read once.
  std::vector<std::pair<Key, Sums>> groups(groups_.begin(), groups_.end());
  groups_.clear();
  std::sort(groups.begin(), groups.end(),
            [](const auto& a, const auto& b) { return a.first.traits < b.first.traits; });
  std::vector<absl::string_view> texts;
  for (const auto& [key, sums] : groups) {
    if (!traits_.empty()) RETURN_IF_ERROR(ReadTraits(key.traits));
    texts.clear();
    auto trait = traits_.begin();
    for (const GroupField field : sums_.fields()) {
      if (field == GroupField::kHost) {
        ASSIGN_OR_RETURN(const absl::string_view name, HostName(key.host));
        texts.push_back(name);
      } else if (!IsNumber(field)) {
        texts.push_back(*trait++);
      }
    }
    sums_.Add(key.numbers, texts, sums);
  }
  return absl::OkStatus();
}

absl::StatusOr<absl::string_view> PartitionGroups::HostName(int64_t id) {
  const auto found = hosts_.find(id);
  if (found != hosts_.end()) return absl::string_view(found->second);
  ASSIGN_OR_RETURN(Statement select, partition_.Prepare("SELECT host FROM hosts WHERE id = ?1"));
  select.Bind(1, id);
  ASSIGN_OR_RETURN(const bool row, select.Step());
  return absl::string_view(
      hosts_.emplace(id, row ? std::string(select.Text(0)) : std::string()).first->second);
}

absl::Status PartitionGroups::ReadTraits(int64_t id) {
  if (id == traits_id_) return absl::OkStatus();
  if (!read_traits_) {
    ASSIGN_OR_RETURN(Statement select, partition_.Prepare(absl::StrCat(
                                           "SELECT ", absl::StrJoin(traits_columns_, ", "),
                                           " FROM traits WHERE id = ?1")));
    read_traits_.emplace(std::move(select));
  }
  read_traits_->Reset();
  read_traits_->Bind(1, id);
  ASSIGN_OR_RETURN(const bool row, read_traits_->Step());
  for (size_t i = 0; i < traits_.size(); ++i) {
    const absl::string_view text = row ? read_traits_->Text(static_cast<int>(i)) : "";
    traits_[i] = std::string(text);
  }
  traits_id_ = id;
  return absl::OkStatus();
}

}  // namespace postern::server
