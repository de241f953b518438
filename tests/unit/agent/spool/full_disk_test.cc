// SPDX-License-Identifier: Apache-2.0
// A spool on a disk of its own that others fill: a small tmpfs, in a mount
// namespace of the test's own.
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "common/unique_fd.h"
#include "tests/unit/agent/spool/fixture.h"

namespace postern::spool {
namespace {

class FullDiskTest : public SpoolTest {
 protected:
  static constexpr uint64_t kMaxBytes = 64 << 20;
  static constexpr uint64_t kEventsAtOnce = 300;

  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "root alone can mount a small disk";
    ASSERT_EQ(unshare(CLONE_NEWNS), 0) << strerror(errno);
    ASSERT_EQ(mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0) << strerror(errno);
    ASSERT_EQ(mount("none", folder_.path().c_str(), "tmpfs", 0, "size=24m,mode=0700"), 0)
        << strerror(errno);
  }
  void TearDown() override {
    spool_.reset();
    if (IsSkipped()) return;
    EXPECT_EQ(umount(folder_.path().c_str()), 0) << strerror(errno);
  }

  // Somebody else takes what is left.
  void Fill() {
    const UniqueFd file(
        open((folder_ / "filler").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
    ASSERT_TRUE(file.valid()) << strerror(errno);
    const std::string chunk(4096, 'x');
    while (write(file.get(), chunk.data(), chunk.size()) > 0) {
    }
    struct statvfs disk = {};
    ASSERT_EQ(statvfs(folder_.path().c_str(), &disk), 0);
    ASSERT_EQ(disk.f_bavail, 0u);
  }

  // As the pump does: what was refused is tried again first.
  absl::Status AppendNext(uint64_t events, size_t padding = 500) {
    std::vector<Entry> entries;
    for (uint64_t i = 1; i <= events; ++i) {
      entries.push_back(Connect(appended_ + i, 33, v1::Event::DENIED, padding));
    }
    absl::Status status = spool_->Append(entries, {});
    if (status.ok()) appended_ += events;
    return status;
  }
  // Until not one more event finds room.
  void AppendUntilFull() {
    for (const uint64_t events : {kEventsAtOnce, uint64_t{1}}) {
      absl::Status status;
      while (status.ok()) status = AppendNext(events);
      ASSERT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
    }
    ASSERT_GT(appended_, kEventsAtOnce);
  }

  // All that is in the spool goes to the collector, in batches.
  void Deliver() {
    for (const uint64_t epoch : Pending()) {
      while (true) {
        const v1::Batch batch = Read(epoch, delivered_[epoch], /*max_events=*/1000);
        if (batch.events().empty()) break;
        for (const v1::Event& event : batch.events()) {
          ASSERT_EQ(event.seq(), ++arrived_) << "each once, in order";
        }
        delivered_[epoch] += static_cast<uint64_t>(batch.events_size());
        const absl::Status status = spool_->Acknowledge(epoch, delivered_[epoch]);
        ASSERT_TRUE(status.ok()) << status;
      }
    }
    EXPECT_EQ(arrived_, appended_);
    EXPECT_EQ(spool_->GetStats()->events, 0u);
  }

  uint64_t appended_ = 0;
  uint64_t arrived_ = 0;
  std::map<uint64_t, uint64_t> delivered_;
};

TEST_F(FullDiskTest, DeliveryMakesRoomForNewEventsWithoutAnyOnTheDisk) {
  ASSERT_NO_FATAL_FAILURE(Open(kMaxBytes));
  ASSERT_NO_FATAL_FAILURE(AppendUntilFull());
  // The next outage finds the disk as this one left it.
  for (int outage = 0; outage < 5; ++outage) {
    ASSERT_NO_FATAL_FAILURE(Fill());
    ASSERT_NO_FATAL_FAILURE(Deliver());
    const uint64_t before = appended_;
    ASSERT_NO_FATAL_FAILURE(AppendUntilFull());
    EXPECT_GT(appended_, before + kEventsAtOnce);
  }
  Deliver();
}

TEST_F(FullDiskTest, BatchesOfAnySizeFindTheRoomThatDeliveryMade) {
  ASSERT_NO_FATAL_FAILURE(Open(kMaxBytes));
  while (AppendNext(10).ok()) {
  }
  ASSERT_NO_FATAL_FAILURE(Fill());
  ASSERT_NO_FATAL_FAILURE(Deliver());
  const absl::Status status = AppendNext(10'000);
  EXPECT_TRUE(status.ok()) << status;
  // The log grew by the reserve, and gives its room back to it.
  EXPECT_LT(std::filesystem::file_size(folder_ / kReserveFileName), uintmax_t{kDeletionBytes});
  spool_.reset();
  EXPECT_GT(std::filesystem::file_size(folder_ / kReserveFileName), uintmax_t{kDeletionBytes});
  ASSERT_NO_FATAL_FAILURE(Fill());
  ASSERT_NO_FATAL_FAILURE(Open(kMaxBytes));
  Deliver();
}

TEST_F(FullDiskTest, TheReserveTakesALargeTurnOfThePump) {
  ASSERT_NO_FATAL_FAILURE(Open(kMaxBytes));
  ASSERT_NO_FATAL_FAILURE(Fill());
  for (int turn = 0; turn < 5; ++turn) {
    const absl::Status status = AppendNext(2048, /*padding=*/1800);
    ASSERT_TRUE(status.ok()) << status;
    ASSERT_NO_FATAL_FAILURE(Deliver());
  }
}

TEST_F(FullDiskTest, AnAcknowledgementThatFoundNoRoomIsWrittenWithTheNextAppend) {
  ASSERT_NO_FATAL_FAILURE(Open(kMaxBytes));
  ASSERT_TRUE(AppendNext(100).ok());
  // Not even the reserve is left.
  ASSERT_TRUE(std::filesystem::remove(folder_ / kReserveFileName));
  ASSERT_NO_FATAL_FAILURE(Fill());
  EXPECT_EQ(spool_->Acknowledge(spool_->epoch(), 100).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(spool_->GetStats()->events, 100u);
  ASSERT_TRUE(std::filesystem::remove(folder_ / "filler"));
  ASSERT_TRUE(AppendNext(1).ok());
  EXPECT_EQ(spool_->GetStats()->events, 1u);
}

TEST_F(FullDiskTest, AnAgentThatWasStoppedThenStartsAndDelivers) {
  ASSERT_NO_FATAL_FAILURE(Open(kMaxBytes));
  for (int outage = 0; outage < 3; ++outage) {
    ASSERT_NO_FATAL_FAILURE(AppendUntilFull());
    ASSERT_NO_FATAL_FAILURE(Fill());
    ASSERT_NO_FATAL_FAILURE(Deliver());
  }
  ASSERT_NO_FATAL_FAILURE(AppendUntilFull());
  spool_.reset();
  ASSERT_NO_FATAL_FAILURE(Fill());
  ASSERT_NO_FATAL_FAILURE(Open(kMaxBytes));
  ASSERT_NO_FATAL_FAILURE(Deliver());
  EXPECT_TRUE(AppendNext(kEventsAtOnce).ok());
  Deliver();
}

TEST_F(FullDiskTest, AnAgentThatWasKilledThenStartsAndDelivers) {
  int appended[2] = {};
  ASSERT_EQ(pipe2(appended, O_CLOEXEC), 0);
  const UniqueFd from(appended[0]);
  UniqueFd to(appended[1]);
  const pid_t agent = fork();
  if (agent == 0) {
    Open(kMaxBytes);
    AppendUntilFull();
    _exit(write(to.get(), &appended_, sizeof(appended_)) == sizeof(appended_) ? 0 : 1);
  }
  to.reset();
  ASSERT_EQ(read(from.get(), &appended_, sizeof(appended_)), ssize_t{sizeof(appended_)});
  int end = 0;
  ASSERT_EQ(waitpid(agent, &end, 0), agent);
  ASSERT_NO_FATAL_FAILURE(Fill());
  ASSERT_NO_FATAL_FAILURE(Open(kMaxBytes));
  ASSERT_NO_FATAL_FAILURE(Deliver());
  EXPECT_TRUE(AppendNext(kEventsAtOnce).ok());
  Deliver();
}

}  // namespace
}  // namespace postern::spool
