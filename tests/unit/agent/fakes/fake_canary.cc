// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/agent/fakes/fake_canary.h"

#include <memory>
#include <optional>

namespace postern {
namespace {

constexpr pid_t kFirstPid = 5000;

class FakeCanary final : public canary::Child {
 public:
  FakeCanary(FakeKernel* kernel, pid_t pid, uint16_t port)
      : kernel_(*kernel), pid_(pid), port_(port) {}

  pid_t pid() const override { return pid_; }
  void Go() override {
    report_.emplace();
    for (size_t i = 0; i < canary::kWays.size(); ++i) {
      report_->result[i] =
          kernel_.ConnectAsCanary(static_cast<uint32_t>(pid_), canary::kWays[i].address, port_);
    }
  }
  absl::StatusOr<std::optional<canary::Report>> Poll() override { return report_; }

 private:
  FakeKernel& kernel_;
  const pid_t pid_;
  const uint16_t port_;
  std::optional<canary::Report> report_;
};

}  // namespace

canary::MakeChild FakeCanaries(FakeKernel* kernel) {
  return [kernel, pid = kFirstPid](
             uint16_t port) mutable -> absl::StatusOr<std::unique_ptr<canary::Child>> {
    return std::make_unique<FakeCanary>(kernel, pid++, port);
  };
}

}  // namespace postern
