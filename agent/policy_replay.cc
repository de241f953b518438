// SPDX-License-Identifier: Apache-2.0
#include "agent/policy_replay.h"

#include <sys/socket.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "agent/policy/binary_trust.h"
#include "agent/policy/script_path.h"
#include "agent/policy_question.h"
#include "common/address.h"
#include "common/unique_fd.h"

namespace postern::agent {
namespace {

using policy::Obstacle;

std::string DeviceText(uint32_t device) {
  return absl::StrCat(device >> 20, ":", device & 0xfffff);
}

// 127.0.0.0/8, ::1 and the unspecified addresses are the host's own on any host.
bool IsLoopback(const policy::AddressBytes& address) {
  const bool ipv4 = IsIpv4Mapped(address.data());
  if (ipv4 && address[12] == 127) return true;
  const auto first = address.begin() + (ipv4 ? 12 : 0);
  const bool zeros = std::all_of(first, address.end() - 1, [](uint8_t byte) { return byte == 0; });
  return zeros && address[15] <= (ipv4 ? 0 : 1);
}

// The cookie of the host's own network namespace, in which the agent runs; absent
// before Linux 5.14.
std::optional<uint64_t> OwnNetworkNamespace() {
  const UniqueFd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  uint64_t cookie = 0;
  socklen_t bytes = sizeof(cookie);
  if (!fd.valid() || getsockopt(fd.get(), SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &bytes) != 0) {
    return std::nullopt;
  }
  return cookie;
}

absl::string_view Text(Obstacle open, const v1::Event& sender) {
  switch (open) {
    case Obstacle::kUser:
      return "its user is not on record";
    case Obstacle::kGroup:
      return "its supplementary groups are not on record";
    case Obstacle::kExe:
    case Obstacle::kStartedAs:
      return sender.identity() == v1::Event::EXEC ? "its binary is not on record"
                                                  : "its start was not seen";
    case Obstacle::kUnit:
      return "its unit is not on record";
    case Obstacle::kScript:
      return sender.identity() == v1::Event::EXEC ? "its script is not on record"
                                                  : "its start was not seen";
    case Obstacle::kDestination:
      return sender.destination().empty() ? "its destinations were not kept"
                                          : "whether its destination was local is not on record";
    default:
      return "where it would be redirected to is not on record";
  }
}

}  // namespace

PolicyReplay::PolicyReplay(policy::Config config, const policy::CompiledPolicy& policy,
                           const policy::Host& host, policy::IdentifyBinary identify)
    : config_(std::move(config)),
      evaluator_(policy),
      host_(host),
      identify_(std::move(identify)),
      network_namespace_(OwnNetworkNamespace()) {}

bool PolicyReplay::Covers(const policy::CompiledPolicy& policy) {
  constexpr uint32_t kReplayed = 1U << POSTERN_DIMENSION_PORT | 1U << POSTERN_DIMENSION_USER |
                                 1U << POSTERN_DIMENSION_GROUP | 1U << POSTERN_DIMENSION_EXE |
                                 1U << POSTERN_DIMENSION_STARTED_AS |
                                 1U << POSTERN_DIMENSION_NOT_GROUP | 1U << POSTERN_DIMENSION_UNIT |
                                 1U << POSTERN_DIMENSION_SCRIPT;
  return (policy.header.dimensions & ~kReplayed) == 0;
}

policy::BinaryId PolicyReplay::FindBinary(const std::string& path, const std::string& device) {
  const auto [found, is_new] = binaries_.try_emplace(path);
  // Nobody but root chooses what is opened here; and a binary that a policy names
  // stands where nobody else could have put it.
  if (is_new && policy::ExamineBinary(host_, path).state == policy::BinaryState::kTrusted) {
    if (const auto id = identify_(path); id.ok()) found->second = *id;
  }
  // The file that is there now may stand in another file system than the one that ran.
  const bool same = found->second.has_value() && DeviceText(found->second->device) == device;
  return same ? *found->second : kOther;
}

void PolicyReplay::ReadBinary(const v1::Event& sender, policy::Subject& subject,
                              policy::Unknown& unknown) {
  // It would be seen to start the next time, and judged by that.
  unknown.exe = unknown.started_as = sender.identity() != v1::Event::EXEC;
  if (sender.has_started_as()) {
    subject.started_as = sender.started_as();
  } else {
    unknown.started_as = true;
  }
  subject.exe_trusted = sender.exe_trusted();
  // What the kernel could not walk to the end, or had no name, proves nothing.
  if (sender.exe_cut() || sender.exe_unlinked()) return;
  if (sender.exe().empty() || absl::StrContains(sender.exe(), '\\')) {
    unknown.exe = true;
    return;
  }
  subject.binary = kOther;
  if (sender.exe_trusted()) {
    subject.binary = FindBinary(sender.exe(), sender.exe_file().device());
  }
}

void PolicyReplay::NameRule(uint16_t rule, v1::Judgement& judgement) const {
  judgement.add_rules(rule < config_.rules.size() ? config_.rules[rule].name : "default");
  if (rule < config_.rules.size() && config_.rules[rule].limit.has_value()) {
    judgement.set_within_limit(true);
  }
}

v1::Judgement PolicyReplay::Judge(const v1::Event& sender) {
  v1::Judgement judgement;
  policy::Subject subject;
  policy::Unknown unknown;
  const auto port = static_cast<uint16_t>(sender.port());
  if (sender.port() == 0 || sender.port() > 65535) {
    judgement.set_unknown("its port is not on record");
    return judgement;
  }
  if (std::find(config_.ports.begin(), config_.ports.end(), port) == config_.ports.end()) {
    return judgement;
  }
  subject.port = port;
  unknown.users = !sender.has_uid() || !sender.has_euid();
  subject.uid = sender.uid();
  subject.euid = sender.euid();
  unknown.groups = true;
  if (sender.has_gid()) subject.gids.push_back(sender.gid());
  if (sender.has_egid()) subject.gids.push_back(sender.egid());
  ReadBinary(sender, subject, unknown);
  // Another path than the kernel could tell apart is one that it did not know.
  unknown.script = sender.identity() != v1::Event::EXEC ||
                   (!sender.script().empty() && !policy::CheckScriptPath(sender.script()).ok());
  subject.script = sender.script();
  unknown.unit = sender.cgroup().empty();
  subject.unit = sender.cgroup();
  subject.in_container = sender.in_container();
  subject.in_user_namespace = sender.in_user_namespace();
  unknown.network_namespace = !sender.has_network_namespace() || !network_namespace_.has_value();
  subject.in_network_namespace = sender.network_namespace() != network_namespace_.value_or(0);
  if (const auto address = ParseAddress(sender.destination()); address.ok()) {
    subject.destination = *address;
    unknown.destination_local = !sender.has_destination_local() && !IsLoopback(*address);
    subject.destination_local =
        sender.has_destination_local() ? sender.destination_local() : IsLoopback(*address);
  } else {
    unknown.destination = true;
  }

  const policy::Candidates candidates = evaluator_.EvaluateUnknown(subject, unknown);
  const v1::Event::Verdict verdict = VerdictOf(candidates.rules.front().action, config_.mode);
  bool certain = true;
  for (const policy::Candidates::Candidate& candidate : candidates.rules) {
    certain = certain && VerdictOf(candidate.action, config_.mode) == verdict;
  }
  if (!certain) {
    std::vector<absl::string_view> reasons;
    for (const Obstacle open : candidates.open) {
      const absl::string_view text = Text(open, sender);
      if (reasons.empty() || reasons.back() != text) reasons.push_back(text);
    }
    judgement.set_unknown(absl::StrJoin(reasons, ", "));
    return judgement;
  }
  judgement.set_verdict(verdict);
  for (const policy::Candidates::Candidate& candidate : candidates.rules) {
    NameRule(candidate.rule, judgement);
  }
  if (judgement.within_limit() && sender.verdict() == v1::Event::OVER_LIMIT) {
    judgement.Clear();
    judgement.set_unknown("how much of a limit is used up is not replayed");
  }
  return judgement;
}

}  // namespace postern::agent
