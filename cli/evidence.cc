// SPDX-License-Identifier: Apache-2.0
#include "cli/evidence.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "cli/event_table.h"
#include "common/event_json.h"
#include "common/event_kind.h"

namespace postern::cli {
namespace {

uint64_t LastNs(const v1::Event& event) {
  return event.has_last_time_ns() ? event.last_time_ns() : event.time_ns();
}

// All times of a boot by the wall clock as it was last: clocks that were set, or set
// back, do not change the order.
void PutInOrder(std::vector<v1::Event>& events) {
  struct Offset {
    uint64_t boot_time_ns = 0;
    uint64_t wall_ns = 0;
  };
  std::map<std::string, Offset> offsets;
  for (const v1::Event& event : events) {
    if (!event.has_boot_time_ns()) continue;
    Offset& offset = offsets[event.boot()];
    if (event.boot_time_ns() < offset.boot_time_ns) continue;
    offset = {event.boot_time_ns(), event.time_ns()};
  }
  const auto key = [&](const v1::Event& event) {
    uint64_t time = event.time_ns();
    if (event.has_boot_time_ns()) {
      const Offset& offset = offsets[event.boot()];
      time = offset.wall_ns - (offset.boot_time_ns - event.boot_time_ns());
    }
    return std::pair(time, event.seq());
  };
  std::stable_sort(events.begin(), events.end(),
                   [&](const v1::Event& a, const v1::Event& b) { return key(a) < key(b); });
}

// Neither refused, nor sent elsewhere, nor to this host itself.
bool Left(const v1::Event& event) {
  return (event.verdict() == v1::Event::ALLOWED || event.verdict() == v1::Event::WOULD_DENY ||
          event.verdict() == v1::Event::WOULD_REDIRECT) &&
         !event.destination_local();
}

bool IsProof(const v1::Event& event) {
  return event.kind() == v1::Event::CANARY && event.verdict() == v1::Event::DENIED;
}

}  // namespace

void Tally::Add(const v1::Event& event) {
  first_ns = count == 0 ? event.time_ns() : std::min(first_ns, event.time_ns());
  last_ns = std::max(last_ns, LastNs(event));
  count += 1 + event.repeats();
}

PostfixClaim ClaimOfPostfix(const v1::Event& event) {
  const absl::string_view exe = event.exe();
  PostfixClaim claim;
  // /usr/lib/postfix/sbin/smtp of Debian, /usr/libexec/postfix/smtp of others.
  claim.claims = absl::EndsWith(exe, "/postfix/sbin/smtp") ||
                 absl::EndsWith(exe, "/postfix/smtp") ||
                 absl::EndsWith(exe, "/postfix/sbin/lmtp") || absl::EndsWith(exe, "/postfix/lmtp");
  claim.is = claim.claims && event.identity() == v1::Event::EXEC && event.exe_trusted() &&
             !event.exe_unlinked() && !event.exe_cut() && event.has_started_as() &&
             event.started_as() == 0 && !event.in_user_namespace();
  return claim;
}

std::optional<v1::Event> PolicyInForce(const std::vector<v1::Event>& events) {
  for (const v1::Event& event : events) {
    if (event.kind() == v1::Event::POLICY && event.policy_size() > 0) return event;
  }
  return std::nullopt;
}

Evidence Examine(std::vector<v1::Event> events) {
  Evidence evidence;
  PutInOrder(events);
  for (v1::Event& event : events) {
    if (IsProof(event)) {
      evidence.proofs.Add(event);
      continue;
    }
    if (event.kind() == v1::Event::CANARY) evidence.failed_proofs.Add(event);
    if (IsAttempt(event.kind())) {
      const std::string verdict = VerdictName(event.verdict());
      evidence.verdicts[verdict] += 1 + event.repeats();
      evidence.attempts[{UserText(event), BinaryText(event), verdict, event.rule()}].Add(event);
      const PostfixClaim claim = ClaimOfPostfix(event);
      if (event.kind() == v1::Event::CONNECT && claim.claims) {
        if (!claim.is) {
          evidence.unproven_postfix += 1 + event.repeats();
        } else if (Left(event)) {
          evidence.postfix[DestinationText(event)].Add(event);
        }
      }
    }
    evidence.events.push_back(std::move(event));
  }
  return evidence;
}

}  // namespace postern::cli
