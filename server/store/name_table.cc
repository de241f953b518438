// SPDX-License-Identifier: Apache-2.0
#include "server/store/name_table.h"

#include <limits>

#include "common/status.h"

namespace postern::server {
namespace {

// A name's `until` is rounded up to whole days, so that a name in daily use is
// written once a day.
constexpr int64_t kDayNs = int64_t{86'400} * 1'000'000'000;

// Paths are the senders' own to choose: bounds what a flood of them takes.
constexpr size_t kMaxEntryBytes = size_t{16} << 20;
constexpr size_t kEntryOverhead = 96;

int64_t EndOfDay(int64_t time) {
  const int64_t day = time / kDayNs + 1;
  return day > std::numeric_limits<int64_t>::max() / kDayNs ? std::numeric_limits<int64_t>::max()
                                                            : day * kDayNs;
}

}  // namespace

absl::StatusOr<NameTable> NameTable::Create(Database& database) {
  ASSIGN_OR_RETURN(Statement upsert,
                   database.Prepare("INSERT INTO names (value, until) VALUES (?1, ?2) "
                                    "ON CONFLICT (value) DO UPDATE SET until = max(until, ?2) "
                                    "RETURNING id, until"));
  return NameTable(std::move(upsert));
}

absl::StatusOr<int64_t> NameTable::Id(absl::string_view name, int64_t last_time) {
  const int64_t until = EndOfDay(last_time);
  const auto found = entries_.find(name);
  if (found != entries_.end() && found->second.until >= until) return found->second.id;
  upsert_.Bind(1, name);
  upsert_.Bind(2, until);
  const absl::StatusOr<bool> row = upsert_.Step();
  if (!row.ok()) {
    upsert_.Reset();
    return row.status();
  }
  const Entry entry{upsert_.Int(0), upsert_.Int(1)};
  const absl::Status ended = upsert_.Run();
  upsert_.Reset();
  RETURN_IF_ERROR(ended);
  if (entry_bytes_ > kMaxEntryBytes) Forget();
  if (entries_.insert_or_assign(std::string(name), entry).second) {
    entry_bytes_ += name.size() + kEntryOverhead;
  }
  return entry.id;
}

void NameTable::Forget() {
  entries_.clear();
  entry_bytes_ = 0;
}

}  // namespace postern::server
