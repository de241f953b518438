// SPDX-License-Identifier: Apache-2.0
// A collector in this process, on a unix socket: commits batches in memory, once
// each, by the marks of their epochs.
#ifndef POSTERN_TESTS_UNIT_AGENT_FAKES_FAKE_COLLECTOR_H_
#define POSTERN_TESTS_UNIT_AGENT_FAKES_FAKE_COLLECTOR_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "postern/v1/ingest.pb.h"

namespace postern {

class FakeCollector {
 public:
  FakeCollector();
  ~FakeCollector();  // stops
  FakeCollector(const FakeCollector&) = delete;
  FakeCollector& operator=(const FakeCollector&) = delete;

  // Begins to listen on `path`; what was committed before stays.
  void Start(const std::string& path);
  // Ends every connection and stops listening.
  void Stop();

  // What Welcome says of an epoch, whatever was committed.
  void SetMark(uint64_t epoch, uint64_t position);
  // Commits and does not say so.
  void HoldAcknowledgements(bool hold);
  // Says in Welcome whether batches may come packed; they may not at first.
  void SetUnpacks(bool unpacks);
  // Tells with each answer that it is this much later than this host's clock says; until
  // then it tells no time.
  void SetClockAhead(absl::Duration ahead);
  // Answers Hello by this error; OK: serves again.
  void Refuse(absl::Status status);
  // Answers Hello by ALREADY_EXISTS where it speaks for this epoch.
  void RefuseEpoch(uint64_t epoch);

  // Each waits until it holds, and fails the test after ten seconds.
  void ExpectEvents(size_t count);
  void ExpectHellos(size_t count);
  void ExpectHeartbeats(size_t count);

  // Committed events in order of arrival; those of no kind only count as positions,
  // and canaries that were denied, which come when they come, are apart.
  std::vector<v1::Event> events() const;
  std::vector<v1::Event> proofs() const;
  std::vector<uint64_t> sequences() const;
  std::vector<v1::Hello> hellos() const;
  std::vector<v1::Heartbeat> heartbeats() const;
  // What each message said of what was still to be sent, in order.
  std::vector<uint64_t> oldest_pending() const;
  // Batches that were seen before, whole or in part, and that began past the mark.
  size_t repeated_batches() const;
  size_t batches_with_holes() const;
  size_t packed_batches() const;
  size_t largest_in_flight() const;

 private:
  class Service;
  std::unique_ptr<Service> service_;
};

}  // namespace postern

#endif  // POSTERN_TESTS_UNIT_AGENT_FAKES_FAKE_COLLECTOR_H_
