// SPDX-License-Identifier: Apache-2.0
#include "server/store/completeness.h"

#include <algorithm>
#include <limits>
#include <set>
#include <utility>

#include "common/status.h"
#include "server/store/event_store.h"
#include "server/store/host_state.h"

namespace postern::server {
namespace {

// Newest first, as rows are, and no more than are listed.
void KeepNewest(v1::Completeness& answer) {
  auto& gaps = *answer.mutable_gaps();
  std::stable_sort(gaps.pointer_begin(), gaps.pointer_end(),
                   [](const v1::HostGap* a, const v1::HostGap* b) {
                     return std::pair(a->gap().to_ns(), a->gap().from_ns()) >
                            std::pair(b->gap().to_ns(), b->gap().from_ns());
                   });
  if (gaps.size() > kMaxGapsListed) {
    gaps.DeleteSubrange(kMaxGapsListed, gaps.size() - kMaxGapsListed);
  }
}

v1::Gap* AddGap(const std::string& host, v1::Completeness& answer) {
  // However many there are, they take the memory of a few.
  if (answer.gaps_size() >= 2 * kMaxGapsListed) KeepNewest(answer);
  v1::HostGap* gap = answer.add_gaps();
  gap->set_host(host);
  return gap->mutable_gap();
}

void AddOwnGap(v1::Gap::Reason reason, const std::string& host, int64_t from, int64_t to,
               v1::Completeness& answer) {
  answer.set_complete(false);
  v1::Gap* gap = AddGap(host, answer);
  gap->set_reason(reason);
  gap->set_from_ns(static_cast<uint64_t>(from));
  gap->set_to_ns(static_cast<uint64_t>(to));
}

}  // namespace

absl::StatusOr<v1::Completeness> CompletenessOf(const StoreState& state,
                                                const std::vector<std::string>& hosts,
                                                const TimeWindow& window, int64_t now,
                                                GapSource recorded) {
  v1::Completeness answer;
  answer.set_complete(true);
  const int64_t end = std::min(window.until, now);
  std::set<std::string> unknown(hosts.begin(), hosts.end());
  const bool all = hosts.empty();
  const bool ahead = window.since > now;
  const bool has_beginning = window.since != std::numeric_limits<int64_t>::min();
  const bool behind = has_beginning && state.expired && window.since < *state.expired;
  for (const KnownHost& host : state.hosts) {
    if (!all && unknown.erase(host.name) == 0) continue;
    const bool began = host.first < window.until;
    // Nothing more comes from a host whose stream has ended, or is silent.
    const bool heard = host.connected && host.last_seen >= now - kHeartbeatToleranceNs;
    if (ahead || (!heard && host.last_seen < end) || LiesAhead(host.last_seen, now)) {
      answer.add_silent_hosts(host.name);
    }
    if (!began || (has_beginning && window.since < host.first)) {
      AddOwnGap(v1::Gap::NOT_REPORTED, host.name, std::max<int64_t>(window.since, 0), host.first,
                answer);
    }
    if (behind && began && host.first < *state.expired) {
      AddOwnGap(v1::Gap::EXPIRED, host.name, std::max(window.since, host.first),
                std::min(window.until, *state.expired), answer);
    }
    if (host.oldest_pending != 0 && host.oldest_pending < end) {
      AddOwnGap(v1::Gap::NOT_ARRIVED, host.name, std::max(window.since, host.oldest_pending), end,
                answer);
    }
    if (host.not_watched != 0 && host.not_watched < end) {
      AddOwnGap(v1::Gap::NOT_WATCHED, host.name, std::max(window.since, host.not_watched), end,
                answer);
    }
    for (const TimeWindow& lost : state.damaged) {
      if (lost.since >= window.until || lost.until < window.since) continue;
      if (host.first > lost.until) continue;
      AddOwnGap(v1::Gap::STORE_DAMAGED, host.name, std::max({window.since, lost.since, host.first}),
                std::min(window.until, lost.until), answer);
    }
  }
  RETURN_IF_ERROR(recorded([&](const std::string& host, v1::Gap gap) {
    answer.set_complete(false);
    answer.set_missing(answer.missing() + gap.count());
    *AddGap(host, answer) = std::move(gap);
  }));
  if (behind && all && answer.complete()) {
    // Whoever was there then is forgotten too.
    AddOwnGap(v1::Gap::EXPIRED, "", window.since, std::min(window.until, *state.expired), answer);
  }
  for (const std::string& host : unknown) answer.add_unknown_hosts(host);
  if (answer.silent_hosts_size() > 0 || !unknown.empty() || state.hosts.empty()) {
    answer.set_complete(false);
  }
  KeepNewest(answer);
  return answer;
}

v1::Event OwnGap(const v1::Hello& hello, v1::Gap::Reason reason, int64_t from, int64_t to) {
  v1::Event event;
  event.set_kind(v1::Event::GAP);
  event.set_host(hello.host());
  event.set_agent(hello.agent());
  event.set_time_ns(static_cast<uint64_t>(from));
  event.mutable_gap()->set_reason(reason);
  event.mutable_gap()->set_from_ns(static_cast<uint64_t>(from));
  event.mutable_gap()->set_to_ns(static_cast<uint64_t>(to));
  return event;
}

}  // namespace postern::server
