// SPDX-License-Identifier: Apache-2.0
#include "server/metrics/report.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/pki/authority.h"
#include "common/pki/revocations.h"
#include "common/tls/context.h"

namespace postern::server {
namespace {

using metrics::Family;
using metrics::Flag;
using metrics::Type;
using metrics::Value;

// Behind by more than these: a heartbeat that is late, an alert, an outage, a day.
constexpr std::array<int64_t, 4> kBehindSeconds = {60, 300, 3600, 86'400};

absl::Duration Lag(const v1::Host& host, absl::Time now) {
  // One that is gone, for good perhaps, would hide all others behind its age.
  if (host.silent() || host.stopped() || host.oldest_pending_ns() == 0) {
    return absl::ZeroDuration();
  }
  return std::max(now - absl::FromUnixNanos(static_cast<int64_t>(host.oldest_pending_ns())),
                  absl::ZeroDuration());
}

void AddStore(const MetricsSources& sources, std::vector<Family>& families) {
  const absl::StatusOr<std::vector<v1::Host>> hosts = sources.store.Hosts();
  families.push_back({"postern_collector_store_up",
                      "1 where the store answers.",
                      Type::kGauge,
                      {Flag(hosts.ok())}});
  if (hosts.ok()) AddAgents(*hosts, absl::Now(), families);
  if (sources.sqlite_path.empty()) return;
  const absl::StatusOr<DiskUse> use = DiskUseOf(sources.sqlite_path);
  if (!use.ok()) return;
  families.push_back({"postern_collector_store_bytes",
                      "Bytes on the disk of the store's files.",
                      Type::kGauge,
                      {Value(use->bytes)}});
  families.push_back({"postern_collector_store_free_bytes",
                      "Bytes that are free on the store's file system.",
                      Type::kGauge,
                      {Value(use->free_bytes)}});
}

void AddTrust(const TrustConfig& trust, std::vector<Family>& families) {
  if (trust.listen.empty()) return;
  const tls::Files files = trust.own_ca() ? trust.files : pki::CollectorFiles(trust.pki_folder);
  Family expiry = {"postern_collector_certificate_expiry_timestamp_seconds",
                   "When a certificate ends, Unix time: the collector's own, and that of the CA "
                   "that it believes.",
                   Type::kGauge,
                   {}};
  for (const auto& [name, path] : {std::pair("collector", files.cert), std::pair("ca", files.ca)}) {
    if (const auto ends = tls::ExpiryOf(path); ends.ok()) {
      expiry.samples.push_back(Value(*ends, {{"certificate", name}}));
    }
  }
  families.push_back(std::move(expiry));
  // What another CA has revoked stands in a list that is its own business.
  if (trust.own_ca()) return;
  const auto revoked = pki::Revocations::Load(pki::RevocationsFile(trust.pki_folder));
  if (!revoked.ok()) return;
  families.push_back({"postern_collector_agents_revoked",
                      "Agents of which a certificate was revoked, back with a new one or not.",
                      Type::kGauge,
                      {Value(uint64_t{revoked->Count(pki::Role::kAgent)})}});
}

}  // namespace

void AddAgents(const std::vector<v1::Host>& hosts, absl::Time now, std::vector<Family>& families) {
  uint64_t connected = 0, silent = 0, stopped = 0, away = 0;
  uint64_t unhealthy = 0, enforcing = 0, lossy = 0;
  std::array<uint64_t, kBehindSeconds.size()> behind = {};
  absl::Duration worst;
  for (const v1::Host& host : hosts) {
    ++(host.silent() ? silent : host.connected() ? connected : host.stopped() ? stopped : away);
    if (host.connected() && !host.healthy()) ++unhealthy;
    if (host.connected() && host.mode() == "enforce") ++enforcing;
    if (host.events_lost() > 0) ++lossy;
    const absl::Duration lag = Lag(host, now);
    worst = std::max(worst, lag);
    for (size_t i = 0; i < behind.size(); ++i) {
      if (lag > absl::Seconds(kBehindSeconds[i])) ++behind[i];
    }
  }
  families.push_back(
      {"postern_collector_agents",
       "Agents that the store knows: connected, silent (not heard of for longer "
       "than a heartbeat may take), stopped (said goodbye), or away (not connected "
       "for a short while).",
       Type::kGauge,
       {Value(connected, {{"state", "connected"}}), Value(silent, {{"state", "silent"}}),
        Value(stopped, {{"state", "stopped"}}), Value(away, {{"state", "away"}})}});
  families.push_back({"postern_collector_agents_unhealthy",
                      "Connected agents that say they are not healthy.",
                      Type::kGauge,
                      {Value(unhealthy)}});
  families.push_back({"postern_collector_agents_enforcing",
                      "Connected agents that deny what their policy denies.",
                      Type::kGauge,
                      {Value(enforcing)}});
  families.push_back({"postern_collector_agents_with_losses",
                      "Agents that have lost events since their host booted.",
                      Type::kGauge,
                      {Value(lossy)}});
  Family over = {
      "postern_collector_agents_behind",
      "Agents, neither silent nor stopped, of which something older than so many seconds "
      "has not arrived.",
      Type::kGauge,
      {}};
  for (size_t i = 0; i < behind.size(); ++i) {
    over.samples.push_back(Value(behind[i], {{"over_seconds", absl::StrCat(kBehindSeconds[i])}}));
  }
  families.push_back(std::move(over));
  families.push_back({"postern_collector_agent_lag_max_seconds",
                      "Age of the oldest that has not arrived of any of these agents.",
                      Type::kGauge,
                      {Value(worst)}});
}

std::vector<Family> ReportMetrics(const MetricsSources& sources) {
  std::vector<Family> families;
  families.push_back({"postern_collector_build_info",
                      "1, of the collector of that version.",
                      Type::kGauge,
                      {Flag(true, {{"version", POSTERN_VERSION}})}});
  families.push_back({"postern_collector_start_time_seconds",
                      "When the collector started, Unix time.",
                      Type::kGauge,
                      {Value(sources.started)}});
  sources.figures.AddTo(families);
  AddStore(sources, families);
  AddTrust(sources.trust, families);
  return families;
}

}  // namespace postern::server
