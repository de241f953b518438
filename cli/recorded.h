// SPDX-License-Identifier: Apache-2.0
// What was recorded of one host, as `policy would` and `policy learn` go through it:
// from the collector, or from the agent's own spool where it has no collector.
#ifndef POSTERN_CLI_RECORDED_H_
#define POSTERN_CLI_RECORDED_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/agent_client.h"
#include "cli/command.h"
#include "common/time_text.h"
#include "postern/v1/event.pb.h"
#include "postern/v1/query.pb.h"

namespace postern::cli {

// Attempts that are alike in whatever a rule can ask for, and in their verdict.
struct RecordedSender {
  v1::Event facts;
  uint64_t attempts = 0;
  uint64_t first_ns = 0;
  uint64_t last_ns = 0;
};

// Attempts of one time, by who made them. Not thread-safe.
class RecordedSenders {
 public:
  // Each takes some hundred bytes. Whoever connects to a million addresses has
  // most of them counted only.
  static constexpr size_t kMost = 200'000;

  explicit RecordedSenders(size_t most = kMost) : most_(most) {}

  // Of kind CONNECT; others are passed over.
  void Add(const v1::Event& event);

  const std::vector<RecordedSender>& senders() const { return senders_; }
  uint64_t attempts() const { return attempts_; }
  // Of them, those of senders that there was no room for.
  uint64_t left_out() const { return left_out_; }

 private:
  const size_t most_;
  std::map<std::string, size_t> by_facts_;
  std::vector<RecordedSender> senders_;
  uint64_t attempts_ = 0;
  uint64_t left_out_ = 0;
};

struct Record {
  RecordedSenders senders;
  v1::Completeness completeness;
  std::string host;
  // "the collector at unix:PATH", "the agent's spool".
  std::string source;
  uint64_t since_ns = 0;
};

// Options of the commands that read the record.
class RecordedOptions {
 public:
  void AddTo(CLI::App& app);

  // From the agent's host alone: the policy is that host's, and so are its users.
  absl::StatusOr<Record> Read(AgentClient& agent, uint64_t now_ns) const;

 private:
  absl::StatusOr<uint64_t> Since(uint64_t now_ns) const;

  // Of the app; null before AddTo().
  const CLI::App* app_ = nullptr;
  std::string since_;
  CollectorOptions collector_;
};

// "Attempts of HOST since …, from the agent's spool"
std::string Heading(const Record& record, Zone zone);

}  // namespace postern::cli

#endif  // POSTERN_CLI_RECORDED_H_
