// SPDX-License-Identifier: Apache-2.0
#include "agent/collector_link.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "agent/enrolment/enrol.h"
#include "common/log.h"
#include "common/status.h"
#include "common/steady_clock.h"
#include "common/time_text.h"

namespace postern::agent {
namespace {

// Between two looks at what the collector has acknowledged.
constexpr absl::Duration kLeavePoll = absl::Milliseconds(5);

}  // namespace

CollectorLink::CollectorLink(const enrich::HostIdentity& identity, spool::Spool& spool,
                             std::string state_dir)
    : identity_(identity), spool_(spool), state_dir_(std::move(state_dir)) {}

absl::Status CollectorLink::Start(const policy::Config& config) {
  const bool same_addresses = addresses_ == config.collector_addresses;
  addresses_ = config.collector_addresses;
  tls_ = config.collector_tls;
  if (uplink_ != nullptr && same_addresses && FilesInUse() == files_ &&
      tls::StampOf(files_) == stamp_) {
    return absl::OkStatus();
  }
  return Connect();
}

absl::Status CollectorLink::Connect() {
  Close();
  files_ = FilesInUse();
  stamp_ = tls::StampOf(files_);
  if (absl::Status status = spool_.SetLocalOnly(addresses_.empty()); !status.ok()) {
    // A damaged spool is begun anew by the next turn.
    LogWarning("%s", std::string(status.message()));
  }
  if (addresses_.empty()) return absl::OkStatus();
  uplink::Options options;
  options.addresses = addresses_;
  options.tls = files_;
  options.host = identity_.host;
  options.agent = identity_.agent;
  options.boot = identity_.boot;
  options.version = POSTERN_VERSION;
  options.state = [this] {
    MutexLock lock(&state_mutex_);
    return state_;
  };
  ASSIGN_OR_RETURN(uplink_, uplink::Uplink::Create(std::move(options), &spool_));
  // Certificates of the owner's own CA are the owner's to renew.
  if (!tls_.ca.empty() || RemoteAddresses().empty()) return absl::OkStatus();
  enrolment::Renewal::Options renewal;
  renewal.addresses = RemoteAddresses();
  renewal.state_dir = state_dir_;
  renewal.renew = enrolment::Renew;
  renewal_ = std::make_unique<enrolment::Renewal>(std::move(renewal));
  return absl::OkStatus();
}

void CollectorLink::Close() {
  renewal_.reset();
  uplink_.reset();
}

void CollectorLink::FollowCertificate() {
  if (uplink_ == nullptr || tls::StampOf(files_) == stamp_) return;
  LogInfo("new certificate files: connecting to the collector with them");
  if (const absl::Status status = Connect(); !status.ok()) {
    LogError("%s", std::string(status.message()));
  }
}

void CollectorLink::Leave(absl::Duration patience) {
  const absl::Time deadline = SteadyNow() + patience;
  while (uplink_ != nullptr && uplink_->link().connected && SteadyNow() < deadline) {
    const auto stats = spool_.GetStats();
    if (!stats.ok() || stats->events == 0) break;
    absl::SleepFor(kLeavePoll);
  }
  Close();
}

void CollectorLink::Notify() {
  if (uplink_ != nullptr) uplink_->Notify();
}

void CollectorLink::Tell(v1::AgentState state) {
  bool urgent = false;
  {
    MutexLock lock(&state_mutex_);
    urgent = state.mode() != state_.mode() || state.generation() != state_.generation() ||
             state.healthy() != state_.healthy() ||
             state.not_watched_since_ns() != state_.not_watched_since_ns() ||
             (state.oldest_pending_ns() == 0) != (state_.oldest_pending_ns() == 0);
    state_ = std::move(state);
  }
  if (urgent && uplink_ != nullptr) uplink_->NotifyState();
}

std::optional<uplink::ClockCheck> CollectorLink::LastClockCheck() const {
  return uplink_ == nullptr ? std::nullopt : uplink_->last_clock_check();
}

std::string CollectorLink::clock_problem() const {
  const std::optional<uplink::ClockCheck> check = LastClockCheck();
  if (!check.has_value() || check->Agrees()) return "";
  const absl::Duration apart = absl::AbsDuration(check->ahead);
  return absl::StrCat("this host's clock is ",
                      FormatDuration(static_cast<uint64_t>(absl::ToInt64Nanoseconds(apart))),
                      check->ahead < absl::ZeroDuration() ? " behind" : " ahead of",
                      " the collector's, and events lie under this host's time: keep both in step "
                      "by NTP");
}

std::string CollectorLink::certificate_problem() const {
  return renewal_ == nullptr ? "" : renewal_->problem();
}

std::optional<absl::Time> CollectorLink::CertificateExpiry() const {
  if (RemoteAddresses().empty()) return std::nullopt;
  const absl::StatusOr<absl::Time> expiry = tls::ExpiryOf(files_.cert);
  if (!expiry.ok()) return std::nullopt;
  return *expiry;
}

// A collector on this host is not shown a certificate.
std::vector<std::string> CollectorLink::RemoteAddresses() const {
  std::vector<std::string> remote;
  for (const std::string& address : addresses_) {
    if (!absl::StartsWith(address, "unix:")) remote.push_back(address);
  }
  return remote;
}

tls::Files CollectorLink::FilesInUse() const {
  if (tls_.ca.empty()) return enrolment::EnrolledFiles(state_dir_);
  return {.ca = tls_.ca, .cert = tls_.cert, .key = tls_.key, .crl = ""};
}

}  // namespace postern::agent
