// SPDX-License-Identifier: Apache-2.0
#include "agent/policy_workshop.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "agent/policy/binary_trust.h"
#include "agent/policy/compiler.h"
#include "agent/policy/loader.h"
#include "agent/policy_replay.h"
#include "common/status.h"
#include "common/yaml.h"

namespace postern::agent {
namespace {

struct InForce {
  std::vector<uint16_t> ports;
  policy::Mode mode;  // that the policy on trial would come into force with
};

class Trial final : public control::PolicyTrial {
 public:
  explicit Trial(v1::CheckedPolicy checked) : checked_(std::move(checked)) {}

  void Take(std::unique_ptr<PolicyReplay> replay) { replay_ = std::move(replay); }

  v1::CheckedPolicy checked() const override { return checked_; }

  v1::Judgements Judge(const v1::RecordedSenders& senders) override {
    v1::Judgements judgements;
    for (const v1::Event& sender : senders.senders()) {
      *judgements.add_judgements() = replay_->Judge(sender);
    }
    return judgements;
  }

 private:
  const v1::CheckedPolicy checked_;
  std::unique_ptr<PolicyReplay> replay_;
};

// Half open, as queries are; an event that stands for repeats by its whole interval.
bool Overlaps(const v1::Event& event, uint64_t since, uint64_t until) {
  uint64_t first = event.time_ns();
  uint64_t last = event.has_last_time_ns() ? event.last_time_ns() : first;
  if (event.kind() == v1::Event::GAP) {
    first = event.gap().from_ns();
    last = event.gap().to_ns();
  }
  return first < until && std::max(first, last) >= since;
}

}  // namespace

absl::StatusOr<std::unique_ptr<control::PolicyTrial>> PolicyWorkshop::TryPolicy(
    const v1::PolicyText& text) {
  v1::CheckedPolicy checked;
  policy::LoadedConfig loaded = policy::LoadConfig(text.file(), text.text(), parts_.host);
  for (std::string& line : loaded.Lines()) checked.add_findings(std::move(line));
  if (!loaded.ok()) return std::make_unique<Trial>(std::move(checked));
  policy::Config config = *std::move(loaded.config);
  ASSIGN_OR_RETURN(const InForce in_force, parts_.queue.Run<InForce>([this, mode = config.mode]() {
    return InForce{.ports = parts_.policy.config().ports, .mode = parts_.policy.ModeFor(mode)};
  }));
  config.mode = in_force.mode;
  const policy::IdentifyBinary identify = [this](const std::string& path) {
    return parts_.sensor.IdentifyBinary(path);
  };
  const absl::StatusOr<policy::CompiledPolicy> compiled = policy::Compile(config, identify);
  if (!compiled.ok()) {
    checked.add_findings(std::string(compiled.status().message()));
    return std::make_unique<Trial>(std::move(checked));
  }
  if (!PolicyReplay::Covers(*compiled)) {
    checked.add_findings(absl::StrCat(
        text.file(), ": a rule asks for what this version cannot judge from the record"));
    return std::make_unique<Trial>(std::move(checked));
  }
  checked.set_accepted(true);
  checked.set_mode(ModeName(config.mode));
  checked.set_rules(static_cast<uint32_t>(config.rules.size()));
  for (const uint16_t port : config.ports) {
    const auto& before = in_force.ports;
    if (std::find(before.begin(), before.end(), port) == before.end()) checked.add_new_ports(port);
  }
  auto trial = std::make_unique<Trial>(std::move(checked));
  trial->Take(std::make_unique<PolicyReplay>(std::move(config), *compiled, parts_.host, identify));
  return trial;
}

v1::ExaminedBinary PolicyWorkshop::ExamineBinary(const std::string& path) {
  v1::ExaminedBinary examined;
  policy::BinaryFinding finding = policy::ExamineBinary(parts_.host, path);
  examined.set_trusted(finding.state == policy::BinaryState::kTrusted);
  examined.set_problem(std::move(finding.problem));
  return examined;
}

absl::StatusOr<v1::Completeness> PolicyWorkshop::ReadRecorded(
    const v1::RecordedRequest& request, const std::function<bool(const v1::Event&)>& on_event) {
  const uint64_t since = request.since_ns();
  const uint64_t until =
      request.has_until_ns() ? request.until_ns() : std::numeric_limits<uint64_t>::max();
  v1::Completeness completeness;
  const auto add_gap = [&](const v1::Gap& gap) {
    v1::HostGap* added = completeness.add_gaps();
    added->set_host(parts_.host_name);
    *added->mutable_gap() = gap;
    completeness.set_missing(completeness.missing() + gap.count());
  };
  uint64_t oldest = std::numeric_limits<uint64_t>::max();
  std::optional<int64_t> next = 0;
  while (next.has_value()) {
    ASSIGN_OR_RETURN(const spool::RecordedEvents recorded, parts_.spool.ReadRecorded(*next));
    next = recorded.next;
    for (const v1::Event& event : recorded.events) {
      oldest = std::min<uint64_t>(oldest, event.time_ns());
      if (!Overlaps(event, since, until)) continue;
      if (event.kind() == v1::Event::GAP) add_gap(event.gap());
      if (!on_event(event)) return absl::CancelledError("nobody reads the answer");
    }
  }
  // What was here before the oldest has been dropped, or there was no agent yet.
  if (oldest > since) {
    v1::Gap gap;
    gap.set_reason(v1::Gap::NOT_KEPT);
    gap.set_from_ns(since);
    gap.set_to_ns(std::min(oldest, until));
    add_gap(gap);
  }
  // As a collector's: newest first.
  std::reverse(completeness.mutable_gaps()->begin(), completeness.mutable_gaps()->end());
  completeness.set_complete(completeness.gaps().empty());
  return completeness;
}

}  // namespace postern::agent
