// SPDX-License-Identifier: Apache-2.0
#include "server/ingest/silence_watch.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/log.h"

namespace postern::server {

SilenceWatch::SilenceWatch(EventStore* store, Options options)
    : store_(store), options_(std::move(options)), thread_([this] { Run(); }) {}

SilenceWatch::~SilenceWatch() {
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
  }
  mutex_.NotifyAll();
  thread_.join();
}

void SilenceWatch::Run() {
  while (true) {
    {
      MutexLock lock(&mutex_);
      const auto stopping = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return stopping_; };
      if (mutex_.AwaitFor(absl::ToChronoNanoseconds(options_.look_every), stopping)) return;
    }
    Look();
  }
}

void SilenceWatch::Look() {
  MutexLock lock(&looking_);
  const absl::StatusOr<std::vector<v1::Host>> hosts = store_->Hosts();
  // The store says what is wrong with it; the next look comes.
  if (!hosts.ok()) return;
  const absl::Time now = options_.now();
  std::map<std::string, Heard> heard;
  for (const v1::Host& host : *hosts) {
    const auto before = heard_.find(host.host());
    const bool same = before != heard_.end() && before->second.last_seen_ns == host.last_seen_ns();
    Heard& is = heard[host.host()] = same ? before->second : Heard{host.last_seen_ns(), now, false};
    if (is.told || host.stopped() || now - is.since < options_.tolerance) continue;
    if (!IsRecorded(host)) Record(host);
    is.told = true;
  }
  heard_ = std::move(heard);
}

bool SilenceWatch::IsRecorded(const v1::Host& host) {
  EventFilter filter;
  filter.hosts = {host.host()};
  filter.kinds = {v1::Event::AGENT_SILENT};
  filter.window.since = static_cast<int64_t>(host.last_seen_ns());
  bool found = false;
  const auto sink = [&](const v1::Event& event) {
    found = found || event.time_ns() == host.last_seen_ns();
    return true;
  };
  const absl::StatusOr<bool> searched = store_->Find(
      filter, /*limit=*/0, [] { return false; }, sink);
  return searched.ok() && found;
}

void SilenceWatch::Record(const v1::Host& host) {
  v1::Event event;
  event.set_kind(v1::Event::AGENT_SILENT);
  event.set_host(host.host());
  event.set_agent(host.agent());
  event.set_time_ns(host.last_seen_ns());
  event.set_last_time_ns(
      std::max(host.last_seen_ns(), static_cast<uint64_t>(absl::GetCurrentTimeNanos())));
  event.set_message(
      absl::StrCat("nothing is heard of the agent any more, and it did not say that "
                   "it would stop: look whether the host runs, and posternd on it"));
  LogWarning("host %s: %s", host.host(), event.message());
  store_->Record(std::move(event));
}

}  // namespace postern::server
