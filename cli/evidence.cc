// SPDX-License-Identifier: Apache-2.0
#include "cli/evidence.h"

#include <algorithm>
#include <limits>
#include <tuple>

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

// One boot of a host, as its events tell of it. Times wrap around, so that none can
// overflow: an agent may send any.
struct Boot {
  std::string agent;
  // Of the latest event that knows both clocks.
  std::optional<uint64_t> sampled_ns;
  // What the wall clock was ahead of the boot's, as it was last.
  uint64_t offset_ns = 0;
  // By the boot's clock.
  uint64_t first_ns = std::numeric_limits<uint64_t>::max();
  uint64_t last_ns = 0;
};

int64_t Signed(uint64_t ns) { return static_cast<int64_t>(ns); }

std::map<std::string, Boot> BootsOf(const std::vector<v1::Event>& events) {
  std::map<std::string, Boot> boots;
  for (const v1::Event& event : events) {
    if (!event.has_boot_time_ns()) continue;
    Boot& boot = boots[event.boot()];
    boot.agent = event.agent();
    boot.first_ns = std::min(boot.first_ns, event.boot_time_ns());
    boot.last_ns = std::max(boot.last_ns, event.boot_time_ns());
    // The time of a step is the earlier of the two that the clock showed.
    if (event.kind() == v1::Event::CLOCK_STEP && boot.sampled_ns) continue;
    if (boot.sampled_ns && event.boot_time_ns() < *boot.sampled_ns) continue;
    if (event.kind() != v1::Event::CLOCK_STEP) boot.sampled_ns = event.boot_time_ns();
    boot.offset_ns = event.time_ns() - event.boot_time_ns();
  }
  return boots;
}

// A host is never in two boots at a time: where wall clocks say otherwise, the later
// boot begins when the one before was over.
void PutBehindEachOther(std::map<std::string, Boot>& boots) {
  std::vector<Boot*> order;
  order.reserve(boots.size());
  for (auto& [name, boot] : boots) order.push_back(&boot);
  std::sort(order.begin(), order.end(), [](const Boot* a, const Boot* b) {
    return std::pair(a->agent, Signed(a->offset_ns)) < std::pair(b->agent, Signed(b->offset_ns));
  });
  for (size_t i = 1; i < order.size(); ++i) {
    const Boot& before = *order[i - 1];
    Boot& boot = *order[i];
    if (boot.agent != before.agent) continue;
    const uint64_t over_ns = before.last_ns + before.offset_ns;
    const uint64_t begin_ns = boot.first_ns + boot.offset_ns;
    if (Signed(begin_ns) <= Signed(over_ns)) boot.offset_ns += over_ns + 1 - begin_ns;
  }
}

// All times of a boot by the wall clock as it was last: clocks that were set, or set
// back, do not change the order. What knows of no boot stands by its time.
void PutInOrder(std::vector<v1::Event>& events) {
  std::map<std::string, Boot> boots = BootsOf(events);
  PutBehindEachOther(boots);
  using Place = std::tuple<int64_t, uint64_t, uint64_t>;
  std::vector<std::pair<Place, v1::Event>> placed;
  placed.reserve(events.size());
  for (v1::Event& event : events) {
    const uint64_t time_ns = event.has_boot_time_ns()
                                 ? event.boot_time_ns() + boots[event.boot()].offset_ns
                                 : event.time_ns();
    const Place place(Signed(time_ns), event.boot_time_ns(), event.seq());
    placed.emplace_back(place, std::move(event));
  }
  std::stable_sort(placed.begin(), placed.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  events.clear();
  for (auto& [place, event] : placed) events.push_back(std::move(event));
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

// Leaves the kMostRows with the most attempts; `others` are all further ones.
template <typename Key>
void KeepLargest(std::map<Key, Tally>& rows, Tally& others) {
  if (rows.size() <= kMostRows) return;
  std::vector<typename std::map<Key, Tally>::iterator> order;
  order.reserve(rows.size());
  for (auto row = rows.begin(); row != rows.end(); ++row) order.push_back(row);
  const auto rest = order.begin() + static_cast<std::ptrdiff_t>(kMostRows);
  std::nth_element(order.begin(), rest, order.end(),
                   [](const auto& a, const auto& b) { return a->second.count > b->second.count; });
  for (auto row = rest; row != order.end(); ++row) {
    others.Add((*row)->second);
    rows.erase(*row);
  }
}

// A sender who comes seldom may be counted among the others for a while; one who comes
// often is not.
template <typename Key>
Tally& RowOf(const Key& key, std::map<Key, Tally>& rows, Tally& others) {
  if (rows.size() >= 2 * kMostRows && !rows.contains(key)) KeepLargest(rows, others);
  return rows[key];
}

void CountAttempt(const v1::Event& event, Evidence& evidence) {
  const std::string verdict = VerdictName(event.verdict());
  evidence.verdicts[{event.kind(), verdict}] += 1 + event.repeats();
  const Sender sender{.user = UserText(event),
                      .binary = BinaryText(event),
                      .kind = event.kind(),
                      .verdict = verdict,
                      .rule = event.rule()};
  RowOf(sender, evidence.attempts, evidence.other_attempts).Add(event);
  const PostfixClaim claim = ClaimOfPostfix(event);
  if (event.kind() != v1::Event::CONNECT || !claim.claims) return;
  if (!claim.is) {
    evidence.unproven_postfix += 1 + event.repeats();
  } else if (Left(event)) {
    RowOf(DestinationText(event), evidence.postfix, evidence.other_postfix).Add(event);
  }
}

}  // namespace

void Tally::Add(const v1::Event& event) {
  Add({.count = 1 + event.repeats(), .first_ns = event.time_ns(), .last_ns = LastNs(event)});
}

void Tally::Add(const Tally& other) {
  first_ns = count == 0 ? other.first_ns : std::min(first_ns, other.first_ns);
  last_ns = std::max(last_ns, other.last_ns);
  count += other.count;
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

PolicyBefore PolicyAfter(const std::vector<v1::Event>& events) {
  PolicyBefore before;
  for (const v1::Event& event : events) {
    if (event.kind() != v1::Event::POLICY) continue;
    if (event.policy_size() > 0) {
      before.in_force = event;
      return before;
    }
    if (!before.last_word) before.last_word = event;
  }
  return before;
}

void Examination::Add(const v1::Event& event) {
  // The collector tells of silence itself.
  if (!event.agent().empty() && event.kind() != v1::Event::AGENT_SILENT) {
    const auto [agent, is_new] = evidence_.agents.try_emplace(event.agent(), event.time_ns());
    agent->second = std::min(agent->second, event.time_ns());
  }
  if (IsProof(event)) {
    evidence_.proofs.Add(event);
    return;
  }
  if (event.kind() == v1::Event::CANARY) evidence_.failed_proofs.Add(event);
  if (IsAttempt(event.kind())) {
    CountAttempt(event, evidence_);
    if (kept_ == listed_) {
      ++evidence_.left_out;
      return;
    }
    ++kept_;
  }
  evidence_.events.push_back(event);
}

Evidence Examination::Finish() && {
  PutInOrder(evidence_.events);
  KeepLargest(evidence_.attempts, evidence_.other_attempts);
  KeepLargest(evidence_.postfix, evidence_.other_postfix);
  return std::move(evidence_);
}

std::vector<Recorder> RecordersOf(const Evidence& evidence,
                                  const std::optional<v1::Event>& policy) {
  std::vector<Recorder> recorders;
  for (const auto& [agent, first_ns] : evidence.agents) {
    Recorder recorder;
    recorder.agent = agent;
    recorder.first_ns = first_ns;
    const auto add = [&recorder](const v1::Event& event) {
      if (event.agent() != recorder.agent || event.agent_version().empty()) return;
      std::vector<Recorder::Version>& versions = recorder.versions;
      if (!versions.empty() && versions.back().version == event.agent_version()) return;
      versions.push_back({event.agent_version(), event.time_ns()});
    };
    if (policy) add(*policy);
    // In the order of the kernel; what is left out of it came before.
    recorder.attempts_before = recorder.versions.empty() && evidence.left_out > 0;
    for (const v1::Event& event : evidence.events) {
      if (event.kind() == v1::Event::POLICY) add(event);
      if (IsAttempt(event.kind()) && event.agent() == agent && recorder.versions.empty()) {
        recorder.attempts_before = true;
      }
    }
    recorders.push_back(std::move(recorder));
  }
  std::stable_sort(recorders.begin(), recorders.end(),
                   [](const Recorder& a, const Recorder& b) { return a.first_ns < b.first_ns; });
  return recorders;
}

}  // namespace postern::cli
