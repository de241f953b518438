// SPDX-License-Identifier: Apache-2.0
#include "server/store/partitions.h"

#include <algorithm>
#include <filesystem>
#include <limits>
#include <system_error>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "common/log.h"
#include "common/status.h"
#include "common/time_text.h"
#include "server/store/catalog.h"

namespace postern::server {
namespace {

// What a start spends on looking for damage in one partition that was written to.
constexpr absl::Duration kCheckAtStart = absl::Seconds(5);
constexpr absl::Duration kCheckAfterError = absl::Seconds(20);

bool IsDamage(const absl::Status& status) {
  return absl::IsDataLoss(status) || absl::IsNotFound(status);
}

bool Exists(const std::string& file) {
  std::error_code ignored;
  return std::filesystem::exists(file, ignored);
}

bool IsEmpty(const std::string& file) {
  std::error_code error;
  return std::filesystem::file_size(file, error) == 0 && !error;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Partitions>> Partitions::Open(Database& catalog, std::string path,
                                                             PartitionLimits limits, int64_t now) {
  RETURN_IF_ERROR(MakePartitionFolder(path));
  std::unique_ptr<Partitions> partitions(new Partitions(catalog, std::move(path), limits));
  RETURN_IF_ERROR(partitions->TakeIn(now));
  RETURN_IF_ERROR(partitions->CheckAll(now));
  partitions->began_.reset();
  return partitions;
}

// A file that the catalog does not know was begun right before a crash, or put
// there from a copy.
absl::Status Partitions::TakeIn(int64_t now) {
  ASSIGN_OR_RETURN(const std::vector<Partition> known, PartitionsOf(catalog_));
  for (const int64_t number : PartitionFilesOf(path_)) {
    const auto same = [&](const Partition& partition) { return partition.number == number; };
    if (absl::c_any_of(known, same)) continue;
    const std::string file = PartitionFile(path_, number);
    if (IsEmpty(file)) {
      RETURN_IF_ERROR(RemovePartitionFile(file));
      continue;
    }
    ASSIGN_OR_RETURN(const std::string original, OriginalOf(number));
    if (!original.empty()) {
      ASSIGN_OR_RETURN(const std::string aside, SetAsidePartitionFile(file));
      LogError("%s: is a copy of %s, set aside as %s: its events are not counted twice; remove it",
               file, original, aside);
      continue;
    }
    Partition partition;
    partition.number = number;
    partition.created = now;
    ASSIGN_OR_RETURN(Transaction transaction, BeginDurable(catalog_));
    RETURN_IF_ERROR(PutPartition(catalog_, partition));
    RETURN_IF_ERROR(transaction.Commit());
  }
  return absl::OkStatus();
}

absl::Status Partitions::CheckAll(int64_t now) {
  ASSIGN_OR_RETURN(const std::vector<Partition> known, PartitionsOf(catalog_));
  for (const Partition& partition : known) {
    const std::string file = PartitionFile(path_, partition.number);
    switch (partition.state) {
      case PartitionState::kDropped:
        RETURN_IF_ERROR(RemovePartitionFile(file));
        RETURN_IF_ERROR(ForgetPartition(catalog_, partition.number));
        break;
      case PartitionState::kSealed:
        if (const absl::Status sound = CheckSealed(file, partition); IsDamage(sound)) {
          RETURN_IF_ERROR(SetAside(partition.number, sound.message(), now));
        } else {
          RETURN_IF_ERROR(sound);
        }
        break;
      case PartitionState::kSetAside:
        // Back from a copy, or a crash came between the entry and the file.
        if (!Exists(file)) break;
        [[fallthrough]];
      case PartitionState::kOpen:
        if (writer_) RETURN_IF_ERROR(End());
        if (const absl::Status sound = CheckOpen(partition); IsDamage(sound)) {
          writer_.reset();
          RETURN_IF_ERROR(SetAside(partition.number, sound.message(), now));
        } else {
          RETURN_IF_ERROR(sound);
        }
        break;
    }
  }
  return Maintain(now);
}

absl::StatusOr<std::string> Partitions::OriginalOf(int64_t number) {
  // Of one that cannot be read others tell why.
  const auto first_event = [this](int64_t other,
                                  PartitionState state) -> absl::StatusOr<std::string> {
    ASSIGN_OR_RETURN(const std::unique_ptr<Database> database,
                     OpenPartitionToRead(PartitionFile(path_, other), state));
    return FirstEventOf(*database);
  };
  const absl::StatusOr<std::string> sought = first_event(number, PartitionState::kOpen);
  if (!sought.ok() || sought->empty()) return std::string();
  if (!began_) {
    began_.emplace();
    ASSIGN_OR_RETURN(const std::vector<Partition> known, PartitionsOf(catalog_));
    for (const Partition& partition : known) {
      if (partition.state > PartitionState::kSealed) continue;
      const absl::StatusOr<std::string> event = first_event(partition.number, partition.state);
      if (event.ok()) began_->emplace(*event, partition.number);
    }
  }
  const int64_t original = began_->emplace(*sought, number).first->second;
  return original == number ? std::string() : PartitionFile(path_, original);
}

// Of one that the catalog can tell nothing about, whether it is a copy of another.
absl::Status Partitions::CheckIsItself(const Partition& listed) {
  const std::string file = PartitionFile(path_, listed.number);
  if (listed.state == PartitionState::kOpen && listed.bounds.events > 0) {
    if (writer_->bounds().Holds(listed.bounds)) return absl::OkStatus();
    return absl::DataLossError(
        absl::StrCat(file, ": lacks events that were in it (an older copy, or another's?)"));
  }
  ASSIGN_OR_RETURN(const std::string original, OriginalOf(listed.number));
  if (original.empty()) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(file, ": is a copy of ", original));
}

// Leaves the newest as the one to write to, and those before it sealed.
absl::Status Partitions::CheckOpen(const Partition& partition) {
  const std::string file = PartitionFile(path_, partition.number);
  // Opening to write would make it anew.
  if (!Exists(file)) return absl::NotFoundError(absl::StrCat(file, ": is missing"));
  if (IsEmpty(file)) return absl::DataLossError(absl::StrCat(file, ": is empty"));
  ASSIGN_OR_RETURN(writer_, PartitionWriter::Open(file));
  RETURN_IF_ERROR(CheckPartition(writer_->database(), kCheckAtStart));
  RETURN_IF_ERROR(CheckIsItself(partition));
  ASSIGN_OR_RETURN(Transaction transaction, BeginDurable(catalog_));
  RETURN_IF_ERROR(TakeOver(catalog_, writer_->database()));
  written_ = partition;
  written_.state = PartitionState::kOpen;
  RETURN_IF_ERROR(PutPartition(catalog_, AsWritten()));
  RETURN_IF_ERROR(transaction.Commit());
  known_first_ = written_.bounds.first;
  return absl::OkStatus();
}

const Partition& Partitions::AsWritten() {
  written_.bounds = writer_->bounds();
  known_first_ = written_.bounds.first;
  return written_;
}

absl::StatusOr<PartitionWriter*> Partitions::Current(int64_t now) {
  if (writer_) {
    const bool over = writer_->bounds().events >= limits_.events ||
                      (writer_->bounds().events > 0 &&
                       now - written_.created >= absl::ToInt64Nanoseconds(limits_.length));
    if (!over) return writer_.get();
    RETURN_IF_ERROR(End());
  }
  RETURN_IF_ERROR(Begin(now));
  return writer_.get();
}

// First the file, then its entry: an entry without a file would count as lost.
absl::Status Partitions::Begin(int64_t now) {
  ASSIGN_OR_RETURN(const std::vector<Partition> known, PartitionsOf(catalog_));
  Partition partition;
  partition.number = known.empty() ? 1 : known.back().number + 1;
  partition.created = now;
  const std::string file = PartitionFile(path_, partition.number);
  ASSIGN_OR_RETURN(std::unique_ptr<PartitionWriter> writer, PartitionWriter::Open(file));
  RETURN_IF_ERROR(SyncFolder(PartitionFolder(path_)));
  ASSIGN_OR_RETURN(Transaction transaction, BeginDurable(catalog_));
  RETURN_IF_ERROR(PutPartition(catalog_, partition));
  RETURN_IF_ERROR(transaction.Commit());
  writer_ = std::move(writer);
  written_ = partition;
  known_first_ = partition.bounds.first;
  return absl::OkStatus();
}

absl::Status Partitions::End() {
  RETURN_IF_ERROR(writer_->SummarizeAll());
  ASSIGN_OR_RETURN(const bool folded, writer_->FoldLog());
  Partition partition = AsWritten();
  const std::string file = PartitionFile(path_, partition.number);
  if (folded) {
    std::error_code error;
    partition.bytes = static_cast<int64_t>(std::filesystem::file_size(file, error));
    if (error) return ErrnoStatus(error.value(), file);
    partition.state = PartitionState::kSealed;
  }
  ASSIGN_OR_RETURN(Transaction transaction, BeginDurable(catalog_));
  RETURN_IF_ERROR(TakeOver(catalog_, writer_->database()));
  RETURN_IF_ERROR(PutPartition(catalog_, partition));
  RETURN_IF_ERROR(transaction.Commit());
  writer_.reset();
  return absl::OkStatus();
}

absl::Status Partitions::Maintain(int64_t now) {
  if (writer_ && writer_->bounds().events > 0 &&
      now - written_.created >= absl::ToInt64Nanoseconds(limits_.length)) {
    RETURN_IF_ERROR(End());
  }
  ASSIGN_OR_RETURN(const std::vector<Partition> known, PartitionsOf(catalog_));
  for (const Partition& partition : known) {
    const bool current = writer_ && partition.number == written_.number;
    if (partition.state != PartitionState::kOpen || current) continue;
    if (!Exists(PartitionFile(path_, partition.number))) {
      // Opening to write would make it anew.
      RETURN_IF_ERROR(SetAside(partition.number, "is missing", now));
      continue;
    }
    RETURN_IF_ERROR(Seal(partition));
  }
  return absl::OkStatus();
}

// Of one that ended while a reader was in its log.
absl::Status Partitions::Seal(Partition partition) {
  const std::string file = PartitionFile(path_, partition.number);
  ASSIGN_OR_RETURN(const std::unique_ptr<PartitionWriter> writer, PartitionWriter::Open(file));
  ASSIGN_OR_RETURN(const bool folded, writer->FoldLog());
  if (!folded) return absl::OkStatus();
  std::error_code error;
  partition.bytes = static_cast<int64_t>(std::filesystem::file_size(file, error));
  if (error) return ErrnoStatus(error.value(), file);
  partition.state = PartitionState::kSealed;
  ASSIGN_OR_RETURN(Transaction transaction, BeginDurable(catalog_));
  RETURN_IF_ERROR(PutPartition(catalog_, partition));
  return transaction.Commit();
}

// First the entry says that the file goes, then it goes: a crash in between must
// not bring it back.
absl::Status Partitions::DropExpired(int64_t cutoff) {
  ASSIGN_OR_RETURN(std::vector<Partition> known, PartitionsOf(catalog_));
  std::vector<int64_t> dropped;
  int64_t before = std::numeric_limits<int64_t>::min();
  for (const Partition& partition : known) {
    const bool aside = partition.state == PartitionState::kSetAside;
    if (partition.state != PartitionState::kSealed && !aside) continue;
    if (partition.bounds.ended >= cutoff) continue;
    dropped.push_back(partition.number);
    before = std::max(before, partition.bounds.ended + 1);
  }
  ASSIGN_OR_RETURN(Transaction transaction, BeginDurable(catalog_));
  for (Partition& partition : known) {
    if (!absl::c_linear_search(dropped, partition.number)) continue;
    partition.state = PartitionState::kDropped;
    RETURN_IF_ERROR(PutPartition(catalog_, partition));
  }
  if (!dropped.empty()) RETURN_IF_ERROR(RememberExpiry(catalog_, before));
  // A host is forgotten with the last partition that may hold events of its.
  ASSIGN_OR_RETURN(Statement forget,
                   catalog_.Prepare("DELETE FROM hosts WHERE connected = 0 AND last_seen < ?1 AND "
                                    "NOT EXISTS (SELECT 1 FROM partitions WHERE state <> 2 AND "
                                    "created <= hosts.last_seen)"));
  forget.Bind(1, cutoff);
  RETURN_IF_ERROR(forget.Run());
  RETURN_IF_ERROR(transaction.Commit());
  for (const int64_t number : dropped) {
    RETURN_IF_ERROR(RemovePartitionFile(PartitionFile(path_, number)));
    RETURN_IF_ERROR(ForgetPartition(catalog_, number));
  }
  return absl::OkStatus();
}

absl::Status Partitions::SetAside(int64_t number, absl::string_view why, int64_t now) {
  ASSIGN_OR_RETURN(const std::vector<Partition> known, PartitionsOf(catalog_));
  const auto found = absl::c_find_if(
      known, [&](const Partition& partition) { return partition.number == number; });
  if (found == known.end() || found->state == PartitionState::kDropped) return absl::OkStatus();
  const std::string file = PartitionFile(path_, number);
  if (found->state == PartitionState::kSetAside && !Exists(file)) return absl::OkStatus();
  if (writer_ && written_.number == number) writer_.reset();
  Partition partition = *found;
  if (partition.state == PartitionState::kOpen) {
    // How far it went only the file knew.
    partition.bounds.first = std::min(partition.bounds.first, partition.created);
    partition.bounds.last = std::max(partition.bounds.last, now);
    partition.bounds.ended = std::max(partition.bounds.ended, now);
  }
  partition.state = PartitionState::kSetAside;
  {
    ASSIGN_OR_RETURN(Transaction transaction, BeginDurable(catalog_));
    RETURN_IF_ERROR(PutPartition(catalog_, partition));
    RETURN_IF_ERROR(transaction.Commit());
  }
  const std::string missing =
      absl::StrCat("events between ", FormatTime(static_cast<uint64_t>(partition.bounds.first)),
                   " and ", FormatTime(static_cast<uint64_t>(partition.bounds.last)),
                   " are missing in answers; restore the file from a backup while the collector is "
                   "stopped");
  const bool gone = !Exists(file);
  // Its log, too: it must not become another file's.
  ASSIGN_OR_RETURN(const std::string aside, SetAsidePartitionFile(file));
  if (gone) {
    LogError("%s is gone, or this store is a backup, which lists one that it lacks: %s", file,
             missing);
  } else {
    LogError("damaged (%s), set aside as %s: %s, or remove it", why, aside, missing);
  }
  return absl::OkStatus();
}

absl::Status Partitions::ExamineCurrent(int64_t now) {
  if (!writer_) return absl::OkStatus();
  writer_->Rollback();
  const absl::Status sound = CheckPartition(writer_->database(), kCheckAfterError);
  return IsDamage(sound) ? SetAside(written_.number, sound.message(), now) : absl::OkStatus();
}

}  // namespace postern::server
