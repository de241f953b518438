// SPDX-License-Identifier: Apache-2.0
// The Sensor of a real kernel.
#ifndef POSTERN_AGENT_SENSOR_KERNEL_SENSOR_H_
#define POSTERN_AGENT_SENSOR_KERNEL_SENSOR_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/sensor/file_identifier.h"
#include "agent/sensor/pin_folder.h"
#include "agent/sensor/policy_publisher.h"
#include "agent/sensor/program_set.h"
#include "agent/sensor/repeats_flusher.h"
#include "agent/sensor/ring_reader.h"
#include "agent/sensor/sensor.h"
#include "agent/sensor/socket_finder.h"
#include "common/unique_fd.h"

namespace postern::sensor {

class KernelSensor final : public Sensor {
 public:
  static absl::StatusOr<std::unique_ptr<KernelSensor>> Create(const Options& options);

  absl::StatusOr<policy::BinaryId> IdentifyBinary(const std::string& path) override;
  absl::StatusOr<uint32_t> Publish(const policy::CompiledPolicy& policy) override;
  absl::StatusOr<HeldPolicy> ReadPolicy(const policy::CompiledPolicy& compiled) const override;
  uint32_t generation() const override { return generation_; }
  absl::Status SetLocalAddresses(absl::Span<const std::array<uint8_t, 16>> addresses) override;
  absl::Status AttachConnect() override;
  absl::Status RegisterCanary(uint32_t pid) override;
  absl::Status ForgetCanary() override;
  void Wait(absl::Duration timeout) override;
  bool WakeOnNextRecord() override;
  absl::Status WakeBy(int fd) override;
  void Wake() override;
  size_t Read(Ring ring, size_t max_records,
              const std::function<void(absl::Span<const std::byte>)>& sink) override;
  uint64_t ReadPosition(Ring ring) const override { return reader(ring).position(); }
  std::string RingId(Ring ring) const override { return reader(ring).id(); }
  void SkipTo(Ring ring, uint64_t position) override { reader(ring).SkipTo(position); }
  void Release(Ring ring) override { reader(ring).Release(); }
  absl::Status FlushRepeats() override;
  absl::StatusOr<std::vector<std::string>> LookForSockets() override {
    return socket_finder_.Look();
  }
  absl::StatusOr<std::array<uint64_t, POSTERN_COUNTERS>> ReadCounters() const override;
  absl::Status SetCounter(postern_counter counter, uint64_t value) override;
  std::vector<HookState> Hooks() const override;
  absl::StatusOr<std::vector<UnprovenProcess>> UnprovenProcesses() override;

 private:
  KernelSensor(std::unique_ptr<PinFolder> pins, std::unique_ptr<ProgramSet> programs,
               UniqueFd cgroup);

  // The steps of Create, in their order.
  absl::Status AttachTrackers();
  absl::Status SeedOnce();
  absl::Status OpenRings();

  RingReader& reader(Ring ring) const { return ring == Ring::kDenied ? *denied_ : *other_; }

  // Destroyed last to first: readers, programs, pins (and with them the lock).
  const std::unique_ptr<PinFolder> pins_;
  const std::unique_ptr<ProgramSet> programs_;
  const UniqueFd cgroup_;
  FileIdentifier identifier_;
  const PolicyMaps policy_maps_;
  PolicyPublisher publisher_;
  RepeatsFlusher flusher_;
  const SocketFinder socket_finder_;
  std::unique_ptr<RingReader> denied_;
  std::unique_ptr<RingReader> other_;
  UniqueFd wake_;
  UniqueFd epoll_;
  uint32_t generation_ = 0;
  bool socket_hooks_kept_ = false;
  bool limited_ = false;  // a policy since the pins were made may have had limits
};

}  // namespace postern::sensor

#endif  // POSTERN_AGENT_SENSOR_KERNEL_SENSOR_H_
