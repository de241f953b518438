// SPDX-License-Identifier: Apache-2.0
#include "server/store/single_file.h"

#include <algorithm>
#include <limits>
#include <memory>

#include "absl/strings/str_cat.h"
#include "common/log.h"
#include "common/status.h"
#include "server/store/partition_writer.h"

namespace postern::server {
namespace {

constexpr int64_t kTransaction = 10'000;
constexpr int64_t kTellEvery = 1'000'000;

// Writes one partition after the other, with numbers from 1.
class Successive {
 public:
  Successive(const std::string& path, const PartitionLimits& limits, int64_t now)
      : path_(path), limits_(limits), now_(now) {}

  absl::Status Add(const std::string& host, v1::Event& event) {
    PreparedEvents events;
    events.Add(event);
    // Rows lie in the order of arrival, which was about that of their times.
    const int64_t time = std::min(events.events().front().row.time, now_);
    const int64_t length = absl::ToInt64Nanoseconds(limits_.length);
    if (writer_ && (writer_->bounds().events >= limits_.events || time - began_ >= length)) {
      RETURN_IF_ERROR(End());
    }
    if (!writer_) {
      ASSIGN_OR_RETURN(writer_, PartitionWriter::Open(PartitionFile(path_, ++number_)));
      began_ = time;
    }
    if (!writer_->in_transaction()) RETURN_IF_ERROR(writer_->Begin());
    RETURN_IF_ERROR(writer_->Insert(host, events, /*from=*/0, now_).status());
    if (writer_->bounds().events % kTransaction != 0) return absl::OkStatus();
    return writer_->Commit();
  }

  absl::Status End() {
    if (!writer_) return absl::OkStatus();
    if (writer_->in_transaction()) RETURN_IF_ERROR(writer_->Commit());
    RETURN_IF_ERROR(writer_->SummarizeAll());
    RETURN_IF_ERROR(writer_->FoldLog().status());
    writer_.reset();
    return absl::OkStatus();
  }

 private:
  const std::string& path_;
  const PartitionLimits& limits_;
  const int64_t now_;
  int64_t number_ = 0;
  int64_t began_ = 0;
  std::unique_ptr<PartitionWriter> writer_;
};

}  // namespace

absl::Status MoveEventsToPartitions(Database& store, const std::string& path,
                                    const PartitionLimits& limits, int64_t now) {
  RETURN_IF_ERROR(MakePartitionFolder(path));
  const std::string folder = PartitionFolder(path);
  for (const int64_t number : PartitionFilesOf(path)) {
    RETURN_IF_ERROR(RemovePartitionFile(PartitionFile(path, number)));
  }
  ASSIGN_OR_RETURN(const int64_t all, store.Number("SELECT count(*) FROM events"));
  if (all > 0) LogInfo("%s: moving %d events to files in %s", path, all, folder);
  ASSIGN_OR_RETURN(Statement select,
                   store.Prepare("SELECT h.host, e.body FROM events e JOIN hosts h ON "
                                 "h.id = e.host ORDER BY e.id"));
  Successive partitions(path, limits, now);
  for (int64_t moved = 0;; ++moved) {
    ASSIGN_OR_RETURN(const bool row, select.Step());
    if (!row) break;
    if (moved > 0 && moved % kTellEvery == 0) LogInfo("%s: %d of %d moved", path, moved, all);
    v1::Event event;
    const absl::string_view body = select.Blob(1);
    if (!event.ParseFromArray(body.data(), static_cast<int>(body.size()))) {
      return absl::DataLossError(
          absl::StrCat(path, ": an event cannot be read (restore a copy; it was not changed)"));
    }
    RETURN_IF_ERROR(partitions.Add(std::string(select.Text(0)), event));
  }
  RETURN_IF_ERROR(partitions.End());
  return SyncFolder(folder);
}

}  // namespace postern::server
