// SPDX-License-Identifier: Apache-2.0
// What a thousand web servers with Postfix report: the same events in each run.
#ifndef POSTERN_TESTS_BENCH_STORE_ATTEMPTS_H_
#define POSTERN_TESTS_BENCH_STORE_ATTEMPTS_H_

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "postern/v1/event.pb.h"
#include "server/store/event_store.h"

namespace postern::bench {

inline constexpr int kHosts = 1'000;
inline constexpr int kBatchEvents = 200;
// A day's worth: 10,000 of each host.
inline constexpr int64_t kEventsOfADay = 10'000'000;
inline constexpr int64_t kDayNs = int64_t{86'400} * 1'000'000'000;
// 2026-01-01.
inline constexpr int64_t kFirstTime = int64_t{1'767'225'600} * 1'000'000'000;

std::string HostName(int host);

// Of 100 attempts 80 are Postfix's, to peers of which most come again; 15 of
// PHP in one of twenty sites; 4 of a bot, each process with arguments of its own;
// one stands for a repeat that spans minutes. Batches come as agents send them:
// one host's next events each, host by host.
class Attempts {
 public:
  // `events` are spread evenly over a day, or over as many days as it takes.
  explicit Attempts(int64_t events);

  // In order; positions in an epoch of the host's own.
  server::EventBatch Next();
  // The time up to which all hosts have reported.
  int64_t reported_until() const { return reported_until_; }
  int64_t period_ns() const { return period_; }

 private:
  struct Host {
    std::string name;
    uint64_t sequence = 0;
    int64_t time = 0;
    uint32_t pid = 1'000;
    v1::Event smtp;
    v1::Event php;
    v1::Event bot;
  };

  v1::Event NextOf(Host& host, int index);
  std::string Destination();

  std::mt19937_64 random_{20'260'101};
  std::vector<Host> hosts_;
  std::vector<std::string> popular_;
  size_t next_host_ = 0;
  int64_t step_;
  int64_t period_;
  int64_t reported_until_ = kFirstTime;
};

}  // namespace postern::bench

#endif  // POSTERN_TESTS_BENCH_STORE_ATTEMPTS_H_
