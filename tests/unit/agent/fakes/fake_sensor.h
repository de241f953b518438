// SPDX-License-Identifier: Apache-2.0
// The kernel side in memory: rings of real records, counters, generations. What
// outlives an agent (FakeKernel) is apart from what does not (FakeSensor).
#ifndef POSTERN_TESTS_UNIT_AGENT_FAKES_FAKE_SENSOR_H_
#define POSTERN_TESTS_UNIT_AGENT_FAKES_FAKE_SENSOR_H_

#include <array>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "agent/sensor/sensor.h"
#include "bpf/abi/event.h"

namespace postern {

// Pins, maps and rings. Thread-safe, so that a test can "connect" while an agent
// runs in another thread.
class FakeKernel {
 public:
  struct Record {
    uint64_t end = 0;  // position behind it
    std::vector<std::byte> bytes;
  };

  // Writes the record of an attempt; returns its sequence.
  uint64_t Connect(uint32_t uid, postern_verdict verdict, const std::string& exe = "/usr/bin/perl",
                   uint16_t rule = POSTERN_RULE_DEFAULT);
  // Further attempts of the one with sequence `first`, in the table until a flush.
  void Repeat(uint64_t first, uint64_t count, postern_verdict verdict, uint32_t flags = 0);
  void Write(sensor::Ring ring, std::vector<std::byte> bytes);
  // The ring is full: attempts are counted and not recorded.
  void Lose(postern_counter counter, uint64_t count);

  // What a canary does; returns what its connect(2) would.
  int ConnectAsCanary(uint32_t pid, const std::string& address, uint16_t port);
  // Since the start: canaries that said who they were.
  size_t canaries();
  // A program of somebody else's lets pass what was denied.
  void LetPass(bool pass);
  // Records of canaries find no room.
  void LoseCanaries(bool lose);

  // Somebody takes connect4 off while an agent runs, and puts it back.
  void Detach();
  void Attach();
  // All that others have on connect4.
  void SetOthers(std::vector<sensor::OtherProgram> others);

  // What has not been released.
  size_t Unreleased(sensor::Ring ring);

 private:
  friend class FakeSensor;

  uint64_t WriteConnect(uint32_t uid, postern_verdict verdict, const std::string& exe,
                        uint16_t rule);
  void Push(sensor::Ring ring, std::vector<std::byte> bytes);

  // Whoever reads.
  void Wake();

  std::mutex mutex_;
  std::condition_variable woken_;
  bool wake_ = false;
  bool reader_sleeps_ = false;
  std::map<sensor::Ring, std::deque<Record>> rings_;
  std::map<sensor::Ring, uint64_t> produced_;
  std::map<sensor::Ring, uint64_t> released_;
  std::vector<std::vector<std::byte>> repeats_;
  std::array<uint64_t, POSTERN_COUNTERS> counters_ = {};
  std::array<uint64_t, POSTERN_HITS_OF_SLOT> hits_ = {};
  std::vector<policy::CompiledPolicy> published_;
  std::vector<std::array<uint8_t, 16>> local_;
  bool attached_ = false;
  std::vector<sensor::OtherProgram> others_;
  uint64_t sequence_ = 1000;
  uint32_t canary_ = 0;  // pid; 0: nobody
  size_t canaries_ = 0;
  bool lets_pass_ = false;
  bool loses_canaries_ = false;

 public:
  // Not guarded: for when no agent runs, or set before one does.
  std::map<std::string, policy::BinaryId> binaries;
  std::vector<sensor::Sensor::UnprovenProcess> unproven;
  absl::Status publish_error;
  absl::Status register_error;
  // Of the policy that the kernel holds.
  std::vector<std::string> differences;
  // What a look for sockets says.
  std::vector<std::string> not_reset;

  size_t generations();
  policy::CompiledPolicy policy();
  bool attached();
  std::vector<std::array<uint8_t, 16>> local_addresses();
};

class FakeSensor : public sensor::Sensor {
 public:
  explicit FakeSensor(FakeKernel* kernel);

  absl::StatusOr<policy::BinaryId> IdentifyBinary(const std::string& path) override;
  absl::StatusOr<uint32_t> Publish(const policy::CompiledPolicy& policy) override;
  absl::StatusOr<sensor::HeldPolicy> ReadPolicy(
      const policy::CompiledPolicy& compiled) const override;
  uint32_t generation() const override;
  absl::Status SetLocalAddresses(absl::Span<const std::array<uint8_t, 16>> addresses) override;
  absl::Status AttachConnect() override;
  absl::Status RegisterCanary(uint32_t pid) override;
  absl::Status ForgetCanary() override;
  void Wait(absl::Duration timeout) override;
  bool WakeOnNextRecord() override;
  absl::Status WakeBy(int /*fd*/) override { return absl::OkStatus(); }
  void Wake() override;
  size_t Read(sensor::Ring ring, size_t max_records,
              const std::function<void(absl::Span<const std::byte>)>& sink) override;
  uint64_t ReadPosition(sensor::Ring ring) const override;
  std::string RingId(sensor::Ring ring) const override;
  void SkipTo(sensor::Ring ring, uint64_t position) override;
  void Release(sensor::Ring ring) override;
  absl::Status FlushRepeats() override;
  absl::StatusOr<std::vector<std::string>> LookForSockets() override { return kernel_.not_reset; }
  absl::StatusOr<std::array<uint64_t, POSTERN_COUNTERS>> ReadCounters() const override;
  absl::Status SetCounter(postern_counter counter, uint64_t value) override;
  std::vector<sensor::HookState> Hooks() const override;
  absl::StatusOr<std::vector<UnprovenProcess>> UnprovenProcesses() override;

 private:
  FakeKernel& kernel_;
  std::map<sensor::Ring, uint64_t> position_;
};

}  // namespace postern

#endif  // POSTERN_TESTS_UNIT_AGENT_FAKES_FAKE_SENSOR_H_
