// SPDX-License-Identifier: Apache-2.0
#include "agent/uplink/uplink.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "agent/uplink/backoff.h"
#include "agent/uplink/line.h"
#include "agent/uplink/queue.h"
#include "agent/uplink/session.h"
#include "common/boot_clock.h"
#include "common/log.h"
#include "common/mutex.h"
#include "common/steady_clock.h"

namespace postern::uplink {
namespace {

class CollectorUplink : public Uplink {
 public:
  CollectorUplink(Options options, spool::Spool* spool)
      : options_(std::move(options)), spool_(*spool), thread_([this] { Run(); }) {}
  ~CollectorUplink() override {
    signals_.stop = true;
    queue_.Ring();
    thread_.join();
  }

  void Notify() override { queue_.Ring(); }

  void NotifyState() override {
    signals_.state_changed = true;
    queue_.Ring();
  }

  Link link() const override ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(&mutex_);
    Link link = link_;
    if (acknowledged_boot_ns_.has_value()) {
      link.last_acknowledged_ns = *acknowledged_boot_ns_ + BootToWallOffsetNs();
    }
    return link;
  }

  std::optional<ClockCheck> last_clock_check() const override ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(&mutex_);
    return clock_;
  }

 private:
  void Run() {
    Backoff backoff(options_.first_retry, options_.last_retry);
    size_t next = 0;
    while (!signals_.stop) {
      const std::string& address = options_.addresses[next];
      bool welcome = false;
      const bool remote = options_.unix_is_remote || !absl::StartsWith(address, "unix:");
      Session session(
          options_, /*pack=*/remote, spool_, queue_, signals_,
          [&] {
            welcome = true;
            backoff.Reset();
            Connected(address);
          },
          [this] { Acknowledged(); },
          // This host's clock is no witness of itself.
          [this, remote](const ClockCheck& clock) {
            if (remote) Checked(clock);
          });
      absl::StatusOr<Line> line =
          Dial(address, options_.tls, {options_.keepalive, options_.keepalive_timeout});
      const absl::Status status = line.ok() ? line->Explain(session.Run(*line)) : line.status();
      if (status.ok()) continue;  // stop, or Hello again at once
      Disconnected(address, status, welcome);
      RenewIfCloned(status);
      next = (next + 1) % options_.addresses.size();
      // Another address is tried at once, the whole list only after a pause.
      if (welcome || next == 0) Pause(backoff.Next());
    }
  }

  void RenewIfCloned(const absl::Status& status) {
    if (!absl::IsAlreadyExists(status)) {
      in_use_since_ = absl::InfiniteFuture();
      return;
    }
    const absl::Time now = SteadyNow();
    in_use_since_ = std::min(in_use_since_, now);
    if (now - in_use_since_ < options_.clone_after) return;
    in_use_since_ = absl::InfiniteFuture();
    const auto pending = spool_.PendingEpochs();
    if (!pending.ok()) return;
    LogWarning(
        "another machine uses this agent's epochs, as a clone does; going on under new ones");
    for (const spool::EpochState& state : *pending) {
      if (absl::Status renewed = spool_.Renew(state.epoch).status(); !renewed.ok()) {
        LogWarning("%s", std::string(renewed.message()));
      }
    }
  }

  void Pause(absl::Duration duration) {
    const absl::Time until = SteadyNow() + duration;
    while (!signals_.stop && SteadyNow() < until) queue_.Next(until);
  }

  void Connected(const std::string& address) {
    MutexLock lock(&mutex_);
    link_.connected = true;
    link_.address = address;
    link_.error.clear();
    told_ = false;
    LogInfo("collector %s: connected", address);
  }

  void Disconnected(const std::string& address, const absl::Status& status, bool was_connected) {
    MutexLock lock(&mutex_);
    link_.connected = false;
    link_.address = address;
    link_.error = absl::StrCat(address, ": ", status.message());
    // Once until it works again: events are kept, and status shows the rest.
    if (was_connected || !told_) {
      LogWarning("collector %s; events are kept in the spool meanwhile", link_.error);
    }
    told_ = true;
  }

  void Acknowledged() {
    MutexLock lock(&mutex_);
    acknowledged_boot_ns_ = BootNowNs();
  }

  void Checked(const ClockCheck& clock) {
    MutexLock lock(&mutex_);
    clock_ = clock;
  }

  const Options options_;
  spool::Spool& spool_;
  Queue queue_;
  Signals signals_;
  // Of the uplink's thread.
  absl::Time in_use_since_ = absl::InfiniteFuture();
  mutable Mutex mutex_;
  // Without the time of the last acknowledgement.
  Link link_ ABSL_GUARDED_BY(mutex_);
  std::optional<int64_t> acknowledged_boot_ns_ ABSL_GUARDED_BY(mutex_);
  std::optional<ClockCheck> clock_ ABSL_GUARDED_BY(mutex_);
  bool told_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Uplink>> Uplink::Create(Options options, spool::Spool* spool) {
  if (options.addresses.empty()) {
    return absl::InvalidArgumentError("no collector address is configured");
  }
  for (const std::string& address : options.addresses) {
    if (absl::Status status = CheckAddress(address); !status.ok()) return status;
  }
  return std::unique_ptr<Uplink>(new CollectorUplink(std::move(options), spool));
}

}  // namespace postern::uplink
