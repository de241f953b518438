// SPDX-License-Identifier: Apache-2.0
#include "server/metrics/figures.h"

#include <algorithm>
#include <initializer_list>
#include <utility>

namespace postern::server {
namespace {

using metrics::Family;
using metrics::Type;
using metrics::Value;

std::vector<absl::Duration> Bounds(std::initializer_list<double> seconds) {
  std::vector<absl::Duration> bounds;
  for (const double bound : seconds) bounds.push_back(absl::Seconds(bound));
  return bounds;
}

// A commit is a sync of the disk and what waits before it.
std::vector<absl::Duration> CommitBounds() {
  return Bounds({0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10});
}
// From a link that keeps up to one that was away for a day.
std::vector<absl::Duration> DelayBounds() {
  return Bounds({0.05, 0.1, 0.25, 0.5, 1, 5, 15, 60, 300, 900, 3600, 21'600, 86'400});
}
// A window of one host is expected within a tenth of a second, a day's groups within two.
std::vector<absl::Duration> AnswerBounds() {
  return Bounds({0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60});
}

constexpr const char* kRefusalNames[kRefusals] = {"garbage", "stranger", "epoch_in_use",
                                                  "hole",    "overload", "store"};
constexpr const char* kGroundsNames[kGrounds] = {
    "no_tls",  "no_certificate", "not_believed", "expired", "revoked",
    "no_role", "too_many",       "shut_out",     "garbage", "deadline"};
constexpr const char* kQuestionNames[kQuestions] = {"find", "group", "hosts"};

// Who asked made a mistake, may not, or left: the answer did not fail.
bool Failed(const absl::Status& status) {
  return !status.ok() && !absl::IsInvalidArgument(status) && !absl::IsPermissionDenied(status) &&
         !absl::IsCancelled(status);
}

}  // namespace

Figures::Answers::Answers() : took(AnswerBounds()) {}

Figures::Figures() : stored_(CommitBounds()), delay_(DelayBounds()) {}

void Figures::Stored(uint64_t events, uint64_t bytes, absl::Duration took,
                     std::optional<absl::Duration> delay) {
  ++batches_;
  events_ += events;
  bytes_ += bytes;
  stored_.Add(took);
  if (delay.has_value()) delay_.Add(*delay);
}

void Figures::RefusedByStore(const absl::Status& status) {
  Refused(absl::IsFailedPrecondition(status)  ? Refusal::kHole
          : absl::IsResourceExhausted(status) ? Refusal::kOverload
                                              : Refusal::kStore);
}

void Figures::Answered(Question question, const absl::Status& status, absl::Duration took) {
  Answers& answers = answers_[static_cast<size_t>(question)];
  answers.took.Add(took);
  if (Failed(status)) ++answers.failed;
}

void Figures::AddTo(std::vector<Family>& families) const {
  Family turned_away = {"postern_collector_connections_refused_total",
                        "Connections over TCP that were not let in or were cut off, by reason.",
                        Type::kCounter,
                        {}};
  for (size_t i = 0; i < kGrounds; ++i) {
    turned_away.samples.push_back(Value(turned_away_[i], {{"reason", kGroundsNames[i]}}));
  }
  families.push_back(std::move(turned_away));
  families.push_back({"postern_collector_ingest_streams",
                      "Streams of agents that are open.",
                      Type::kGauge,
                      {Value(static_cast<uint64_t>(std::max<int64_t>(streams_, 0)))}});
  families.push_back({"postern_collector_ingest_batches_total",
                      "Batches that were committed.",
                      Type::kCounter,
                      {Value(batches_)}});
  families.push_back({"postern_collector_ingest_events_total",
                      "Events of those batches, gap records among them.",
                      Type::kCounter,
                      {Value(events_)}});
  families.push_back({"postern_collector_ingest_bytes_total",
                      "Bytes of those batches as they came, packed or not.",
                      Type::kCounter,
                      {Value(bytes_)}});
  Family refused = {"postern_collector_ingest_refused_total",
                    "Streams and batches that were not taken, by reason.",
                    Type::kCounter,
                    {}};
  for (size_t i = 0; i < kRefusals; ++i) {
    refused.samples.push_back(Value(refused_[i], {{"reason", kRefusalNames[i]}}));
  }
  families.push_back(std::move(refused));
  families.push_back({"postern_collector_ingest_commit_duration_seconds",
                      "From a batch's arrival to its commit.",
                      Type::kHistogram,
                      {stored_.Take()}});
  families.push_back({"postern_collector_event_delay_seconds",
                      "From an event, by its host's clock, to its commit, by this one's: the "
                      "newest of each batch.",
                      Type::kHistogram,
                      {delay_.Take()}});
  Family took = {"postern_collector_query_duration_seconds",
                 "Questions by how long they took, those that failed among them.",
                 Type::kHistogram,
                 {}};
  Family failed = {"postern_collector_query_failures_total",
                   "Questions that could not be answered, by no fault of who asked.",
                   Type::kCounter,
                   {}};
  for (size_t i = 0; i < kQuestions; ++i) {
    took.samples.push_back(answers_[i].took.Take({{"question", kQuestionNames[i]}}));
    failed.samples.push_back(Value(answers_[i].failed, {{"question", kQuestionNames[i]}}));
  }
  families.push_back(std::move(took));
  families.push_back(std::move(failed));
}

}  // namespace postern::server
