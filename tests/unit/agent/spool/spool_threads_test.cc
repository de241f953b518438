// SPDX-License-Identifier: Apache-2.0
#include <atomic>
#include <thread>

#include "tests/unit/agent/spool/fixture.h"

namespace postern::spool {
namespace {

TEST_F(SpoolTest, AppendingReadingAndAcknowledgingAtOnceDeliverEachEventOnceInOrder) {
  constexpr uint64_t kEvents = 3000;
  Open(64 << 20);
  const uint64_t epoch = spool_->epoch();
  std::atomic<bool> done = false;
  std::atomic<int> failures = 0;
  std::thread agent([&] {
    for (uint64_t seq = 1; seq <= kEvents; seq += 30) {
      std::vector<Entry> entries;
      for (uint64_t i = 0; i < 30; ++i) entries.push_back(Connect(seq + i));
      if (!spool_->Append(entries, std::vector<Mark>{{"ring", seq}}).ok()) ++failures;
    }
  });
  std::thread watcher([&] {
    while (!done) {
      if (!spool_->GetStats().ok() || !spool_->PendingEpochs().ok()) ++failures;
      std::this_thread::yield();
    }
  });
  uint64_t position = 0;
  const absl::Time deadline = absl::Now() + absl::Seconds(60);
  while (position < kEvents && absl::Now() < deadline) {
    auto batch = spool_->ReadBatch(epoch, position, 100, 1 << 20);
    ASSERT_TRUE(batch.ok()) << batch.status();
    for (const v1::Event& event : batch->events()) ASSERT_EQ(event.seq(), ++position);
    ASSERT_TRUE(spool_->Acknowledge(epoch, position).ok());
    std::this_thread::yield();
  }
  agent.join();
  done = true;
  watcher.join();
  EXPECT_EQ(position, kEvents);
  EXPECT_EQ(failures, 0);
  EXPECT_EQ(spool_->GetStats()->events, 0u);
}

}  // namespace
}  // namespace postern::spool
