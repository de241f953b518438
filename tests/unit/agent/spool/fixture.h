// SPDX-License-Identifier: Apache-2.0
#ifndef POSTERN_TESTS_UNIT_AGENT_SPOOL_FIXTURE_H_
#define POSTERN_TESTS_UNIT_AGENT_SPOOL_FIXTURE_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "agent/spool/spool.h"
#include "tests/support/temporary_folder.h"

namespace postern::spool {

class SpoolTest : public testing::Test {
 protected:
  static constexpr char kBoot[] = "11111111-2222-3333-4444-555555555555";

  void Open(uint64_t max_bytes = 1 << 20, const std::string& boot = kBoot) {
    spool_.reset();
    Options options;
    options.folder = folder_.path();
    options.max_bytes = max_bytes;
    options.host = "web1";
    options.agent = "a1";
    options.boot = boot;
    options.max_pages = max_pages_;
    options.local_only = local_only_;
    options.now = [this] { return now_; };
    auto spool = Spool::Open(options);
    ASSERT_TRUE(spool.ok()) << spool.status();
    spool_ = *std::move(spool);
  }

  // An event of `uid` with `seq`; its time is `seq` seconds.
  static Entry Connect(uint64_t seq, uint32_t uid = 33,
                       v1::Event::Verdict verdict = v1::Event::ALLOWED, size_t padding = 0) {
    Entry entry;
    entry.event.set_kind(v1::Event::CONNECT);
    entry.event.set_seq(seq);
    entry.event.set_time_ns(seq * 1'000'000'000);
    entry.event.set_uid(uid);
    entry.event.set_verdict(verdict);
    entry.event.set_exe(std::string(padding, 'x'));
    entry.origin = seq;
    return entry;
  }

  void Append(const std::vector<Entry>& entries, const std::vector<Mark>& marks = {}) {
    const absl::Status status = spool_->Append(entries, marks);
    ASSERT_TRUE(status.ok()) << status;
  }

  v1::Batch Read(uint64_t epoch, uint64_t after = 0, int max_events = 1'000'000) {
    auto batch = spool_->ReadBatch(epoch, after, max_events, size_t{64} << 20);
    EXPECT_TRUE(batch.ok()) << batch.status();
    return batch.ok() ? *batch : v1::Batch();
  }

  std::vector<uint64_t> Sequences(const v1::Batch& batch) {
    std::vector<uint64_t> sequences;
    for (const v1::Event& event : batch.events()) sequences.push_back(event.seq());
    return sequences;
  }

  std::vector<uint64_t> Pending() {
    std::vector<uint64_t> epochs;
    const auto states = spool_->PendingEpochs();
    for (const EpochState& state : *states) epochs.push_back(state.epoch);
    return epochs;
  }

  TemporaryFolder folder_;
  int64_t max_pages_ = 0;
  bool local_only_ = false;
  absl::Time now_ = absl::FromUnixSeconds(1'700'000'000);
  std::unique_ptr<Spool> spool_;
};

}  // namespace postern::spool

#endif  // POSTERN_TESTS_UNIT_AGENT_SPOOL_FIXTURE_H_
