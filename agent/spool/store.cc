// SPDX-License-Identifier: Apache-2.0
#include "agent/spool/store.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status.h"

namespace postern::spool {
namespace {

// The columns whose CRC is the lower half of an event's `crc`; the event's is the
// upper one.
constexpr absl::string_view kChecked =
    "origin, uid, weight, attempts, time_ns, last_ns, stored_ns, bytes";

// Rows of epochs and marks as they were written, and no event outside its epoch.
constexpr absl::string_view kDamagedRows =
    "SELECT EXISTS(SELECT 1 FROM epochs WHERE crc <> crc(ordinal, epoch, boot, last, "
    "acknowledged)) OR EXISTS(SELECT 1 FROM marks WHERE crc <> crc(boot, name, value)) OR "
    "EXISTS(SELECT 1 FROM events LEFT JOIN epochs ON ordinal = id >> 40 WHERE ordinal IS NULL OR "
    "id > (ordinal << 40) + last)";
static_assert(kPositionBits == 40, "written out above and in by_origin");

// A flipped bit in what describes the tables would make others of them.
absl::Status CheckTables(Database& database) {
  ASSIGN_OR_RETURN(Statement select,
                   database.Prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL "
                                    "ORDER BY rowid"));
  std::string tables = "\n";
  while (true) {
    ASSIGN_OR_RETURN(const bool found, select.Step());
    if (!found) break;
    absl::StrAppend(&tables, select.Bytes(0), ";\n");
  }
  if (tables == kSchema) return absl::OkStatus();
  return absl::DataLossError("the file is damaged: its tables are not what was made");
}

absl::Status CheckIntegrity(Database& database) {
  RETURN_IF_ERROR(CheckTables(database));
  ASSIGN_OR_RETURN(Statement check, database.Prepare("PRAGMA quick_check(1)"));
  ASSIGN_OR_RETURN(const bool found, check.Step());
  if (!found || check.Bytes(0) != "ok") {
    return absl::DataLossError(found ? absl::StrCat("the file is damaged: ", check.Bytes(0))
                                     : std::string("the file is damaged"));
  }
  check.Reset();
  ASSIGN_OR_RETURN(const int64_t damaged, database.Number(kDamagedRows));
  if (damaged == 0) return absl::OkStatus();
  return absl::DataLossError("the file is damaged: its rows are not what was written");
}

absl::Status CreateOrCheck(Database& database) {
  ASSIGN_OR_RETURN(const int64_t tables, database.Number("SELECT count(*) FROM sqlite_schema"));
  ASSIGN_OR_RETURN(const int64_t application, database.Number("PRAGMA application_id"));
  ASSIGN_OR_RETURN(const int64_t version, database.Number("PRAGMA user_version"));
  if (tables == 0 && application == 0) {
    Transaction transaction(database);
    RETURN_IF_ERROR(transaction.Begin());
    RETURN_IF_ERROR(database.Execute(absl::StrCat(kSchema, "PRAGMA application_id=", kApplicationId,
                                                  "; PRAGMA user_version=", kVersion)));
    return transaction.Commit();
  }
  if (application != kApplicationId) return absl::DataLossError("the file is not a spool");
  if (version != kVersion) {
    return absl::DataLossError(
        absl::StrCat("the file has format ", version, ", this agent knows ", kVersion));
  }
  return CheckIntegrity(database);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Store>> Store::Open(const std::string& path) {
  ASSIGN_OR_RETURN(std::unique_ptr<Database> database, Database::Open(path));
  // Exclusive: the index of the log stays in memory, and a second agent is refused.
  RETURN_IF_ERROR(
      database->Execute("PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL;"
                        "PRAGMA journal_size_limit=8388608; PRAGMA temp_store=MEMORY"));
  RETURN_IF_ERROR(CreateOrCheck(*database));
  std::unique_ptr<Store> store(new Store(std::move(database)));
  RETURN_IF_ERROR(store->SetDurable(true));
  RETURN_IF_ERROR(store->PrepareAll());
  return store;
}

absl::Status Store::PrepareAll() {
  const std::string row = absl::StrCat(
      "SELECT id, span, origin, uid, weight, attempts, time_ns, last_ns, stored_ns, bytes, event, "
      "crc & 0xffffffff = crc(",
      kChecked, "), crc >> 32 & 0xffffffff = crc(event) FROM events ");
  const std::pair<Statement*, std::string> statements[] = {
      {&insert,
       "INSERT INTO events(id, span, origin, uid, weight, attempts, time_ns, last_ns, stored_ns, "
       "bytes, event, crc) VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11, "
       "crc(?3,?4,?5,?6,?7,?8,?9,?10) | (crc(?11) << 32))"},
      {&remove, "DELETE FROM events WHERE id = ?"},
      {&set_mark,
       "INSERT INTO marks(boot, name, value, crc) VALUES(?1, ?2, ?3, crc(?1, ?2, ?3)) "
       "ON CONFLICT DO UPDATE SET value = ?3, crc = crc(?1, ?2, ?3)"},
      {&mark, "SELECT value FROM marks WHERE boot IN (?, '') AND name = ?"},
      {&insert_epoch,
       "INSERT INTO epochs(ordinal, epoch, boot, last, acknowledged, crc) "
       "VALUES(?1, ?2, ?3, ?4, 0, crc(?1, ?2, ?3, ?4, 0))"},
      {&set_last,
       "UPDATE epochs SET last = ?1, crc = crc(ordinal, epoch, boot, ?1, acknowledged) "
       "WHERE ordinal = ?2"},
      {&set_acknowledged,
       "UPDATE epochs SET acknowledged = ?1, crc = crc(ordinal, epoch, boot, last, ?1) "
       "WHERE ordinal = ?2"},
      {&epochs, "SELECT ordinal, epoch, boot, last, acknowledged FROM epochs ORDER BY ordinal"},
      {&sums,
       "SELECT uid, weight, sum(bytes), count(*) FROM events WHERE id > ? AND id <= ? "
       "GROUP BY uid, weight"},
      {&oldest, "SELECT max(id), min(time_ns) FROM events WHERE id > ? AND id <= ?"},
      {&from, absl::StrCat(row, "WHERE id > ? AND id <= ? ORDER BY id")},
      {&before, absl::StrCat(row, "WHERE id < ? ORDER BY id DESC LIMIT 1")},
      {&by_origin,
       "SELECT event, events.crc >> 32 & 0xffffffff = crc(event) FROM events JOIN epochs ON "
       "ordinal = id >> 40 "
       "WHERE origin = ? AND origin > 0 AND boot = ? ORDER BY id DESC LIMIT 1"},
      {&victims, absl::StrCat(row,
                              "WHERE uid = ? AND weight = ? AND weight BETWEEN 1 AND 2 "
                              "AND id > ? ORDER BY id LIMIT ?")},
      {&expire,
       "DELETE FROM events WHERE id IN (SELECT id FROM (SELECT id, stored_ns FROM events "
       "WHERE id > ? AND id <= ? ORDER BY id LIMIT ?) WHERE stored_ns < ?) RETURNING bytes"},
      {&move, "UPDATE events SET span = min(span, id - ?), id = id + ? WHERE id > ? AND id <= ?"},
      {&size, "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"},
  };
  for (const auto& [statement, sql] : statements) {
    ASSIGN_OR_RETURN(*statement, database_->Prepare(sql));
  }
  return absl::OkStatus();
}

absl::Status Store::SetDurable(bool durable) {
  if (durable == durable_) return absl::OkStatus();
  RETURN_IF_ERROR(
      database_->Execute(durable ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL"));
  durable_ = durable;
  return absl::OkStatus();
}

absl::Status Store::Insert(const Row& row) {
  return insert
      .Bind(row.id, row.span, row.origin, row.uid, static_cast<int64_t>(row.weight), row.attempts,
            row.time_ns, row.last_ns, row.stored_ns, row.bytes, BlobView{row.event})
      .Run();
}

absl::StatusOr<int64_t> Store::OwedBytes() {
  ASSIGN_OR_RETURN(const int64_t bytes, database_->FileBytes());
  ASSIGN_OR_RETURN([[maybe_unused]] const bool found, size.Bind().Step());
  const int64_t owed = size.Int(0) - bytes;
  size.Reset();
  return std::max<int64_t>(owed, 0);
}

Row Store::ReadRow(const Statement& statement) {
  Row row;
  row.id = statement.Int(0);
  row.span = statement.Int(1);
  row.origin = static_cast<uint64_t>(statement.Int(2));
  row.uid = statement.Int(3);
  row.weight = static_cast<Weight>(statement.Int(4));
  row.attempts = statement.Int(5);
  row.time_ns = statement.Int(6);
  row.last_ns = statement.Int(7);
  row.stored_ns = statement.Int(8);
  row.bytes = statement.Int(9);
  row.event = statement.Bytes(10);
  row.columns_intact = statement.Int(11) != 0;
  row.event_intact = statement.Int(12) != 0;
  return row;
}

}  // namespace postern::spool
