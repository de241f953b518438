// SPDX-License-Identifier: Apache-2.0
// All that the agent has of its collector: the uplink, the certificate that it shows and
// renews, what it tells of itself, and what it learns of the time.
//
// Owned by one thread; the uplink's reads what Tell() left, by a copy, so that it never
// waits for the owner.
#ifndef POSTERN_AGENT_COLLECTOR_LINK_H_
#define POSTERN_AGENT_COLLECTOR_LINK_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "agent/enrich/host_identity.h"
#include "agent/enrolment/renewal.h"
#include "agent/policy/config.h"
#include "agent/spool/spool.h"
#include "agent/uplink/uplink.h"
#include "common/mutex.h"
#include "common/tls/context.h"
#include "postern/v1/ingest.pb.h"

namespace postern::agent {

class CollectorLink {
 public:
  // Both outlive it. Certificates of `posternd --enroll` lie in `state_dir`.
  CollectorLink(const enrich::HostIdentity& identity, spool::Spool& spool, std::string state_dir);
  ~CollectorLink() { Close(); }

  // Connects as `config` says, or to nobody; nothing happens where all is as before.
  absl::Status Start(const policy::Config& config);
  // Connects anew where the certificate's files are others than they were.
  void FollowCertificate();
  // Waits until the collector has all that is in the spool, for so long, and ends.
  void Leave(absl::Duration patience);
  void Close();

  // There is more in the spool.
  void Notify();
  // What the next heartbeat says; one follows at once where the collector should not wait.
  void Tell(v1::AgentState state) ABSL_LOCKS_EXCLUDED(state_mutex_);

  // Null where no collector is configured.
  const uplink::Uplink* uplink() const { return uplink_.get(); }
  // Of the collector's last answer.
  std::optional<uplink::ClockCheck> LastClockCheck() const;
  // What is wrong, with what to do about it; "" where nothing is.
  std::string clock_problem() const;
  std::string certificate_problem() const;
  // Of the certificate that a collector on another host is shown.
  std::optional<absl::Time> CertificateExpiry() const;

 private:
  absl::Status Connect();
  std::vector<std::string> RemoteAddresses() const;
  tls::Files FilesInUse() const;

  const enrich::HostIdentity& identity_;
  spool::Spool& spool_;
  const std::string state_dir_;
  std::vector<std::string> addresses_;
  policy::CollectorTls tls_;
  tls::Files files_;   // the uplink's
  std::string stamp_;  // of those files, when it was started
  mutable Mutex state_mutex_;
  v1::AgentState state_ ABSL_GUARDED_BY(state_mutex_);
  std::unique_ptr<uplink::Uplink> uplink_;
  std::unique_ptr<enrolment::Renewal> renewal_;
};

}  // namespace postern::agent

#endif  // POSTERN_AGENT_COLLECTOR_LINK_H_
