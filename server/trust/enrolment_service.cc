// SPDX-License-Identifier: Apache-2.0
#include "server/trust/enrolment_service.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/log.h"
#include "common/mutex.h"
#include "common/pki/authority.h"
#include "common/status.h"
#include "common/steady_clock.h"
#include "postern/v1/enrolment.grpc.pb.h"
#include "server/trust/complaints.h"

namespace postern::server {
namespace {

class EnrolmentService final : public v1::Enrolment::Service {
 public:
  EnrolmentService(std::string pki_folder, absl::Duration lifetime, const Peers* peers)
      : pki_folder_(std::move(pki_folder)), lifetime_(lifetime), peers_(*peers) {}

  grpc::Status Join(grpc::ServerContext* context, const v1::JoinRequest* request,
                    v1::JoinResponse* response) override {
    const std::shared_ptr<const Bearer> bearer = peers_.Find(context->peer());
    return Answer(bearer, "join", Joined(bearer.get(), *request, *response));
  }
  grpc::Status Renew(grpc::ServerContext* context, const v1::RenewRequest* request,
                     v1::RenewResponse* response) override {
    const std::shared_ptr<const Bearer> bearer = peers_.Find(context->peer());
    return Answer(bearer, "have its certificate renewed",
                  Renewed(bearer.get(), *request, *response));
  }

 private:
  grpc::Status Answer(const std::shared_ptr<const Bearer>& bearer, const char* what,
                      const absl::Status& status) {
    if (status.ok()) return grpc::Status::OK;
    const std::string line = absl::StrCat(bearer == nullptr ? "somebody" : bearer->Title(),
                                          " could not ", what, ": ", std::string(status.message()));
    {
      MutexLock lock(&mutex_);
      complaints_.Say(SteadyNow(), /*about=*/line, line);
    }
    // The numbers of absl's and gRPC's codes are the same by design.
    return {static_cast<grpc::StatusCode>(status.code()), std::string(status.message())};
  }

  absl::Status Joined(const Bearer* bearer, const v1::JoinRequest& request,
                      v1::JoinResponse& response) const {
    if (bearer == nullptr || bearer->role.has_value()) {
      return absl::PermissionDeniedError("only who has no certificate may join");
    }
    ASSIGN_OR_RETURN(pki::Authority authority, pki::Authority::Open(pki_folder_));
    // Before the token is used up.
    RETURN_IF_ERROR(tls::KeyOfRequest(request.certificate_request()).status());
    if (!request.host().empty()) RETURN_IF_ERROR(pki::CheckHostName(request.host()));
    const absl::Time now = absl::Now();
    ASSIGN_OR_RETURN(const std::string host,
                     authority.Redeem(request.token(), request.host(), now));
    ASSIGN_OR_RETURN(const std::string certificate,
                     authority.IssueAgent(host, request.certificate_request(), now, lifetime_));
    response.set_certificate(certificate);
    response.set_authority(authority.CertificatePem());
    response.set_host(host);
    LogInfo("host %s has joined, from %s", host, bearer->address);
    return absl::OkStatus();
  }

  absl::Status Renewed(const Bearer* bearer, const v1::RenewRequest& request,
                       v1::RenewResponse& response) const {
    if (bearer == nullptr || bearer->role != pki::Role::kAgent || !bearer->by_postern) {
      return absl::PermissionDeniedError("only an agent that has joined is given another");
    }
    ASSIGN_OR_RETURN(pki::Authority authority, pki::Authority::Open(pki_folder_));
    ASSIGN_OR_RETURN(
        const std::string certificate,
        authority.IssueAgent(bearer->name, request.certificate_request(), absl::Now(), lifetime_));
    // The door looks once a second; this decides. Only now, or a revocation in between
    // would be taken for an earlier one, after which the new certificate begins.
    ASSIGN_OR_RETURN(const pki::Revocations revoked,
                     pki::Revocations::Load(pki::RevocationsFile(pki_folder_)));
    if (bearer->since <= revoked.RevokedUntil(pki::Role::kAgent, bearer->name)) {
      return absl::PermissionDeniedError(
          "this host's certificate was revoked: enrol again with a new token");
    }
    response.set_certificate(certificate);
    return absl::OkStatus();
  }

  const std::string pki_folder_;
  const absl::Duration lifetime_;
  const Peers& peers_;
  Mutex mutex_;
  Complaints complaints_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

std::unique_ptr<grpc::Service> MakeEnrolmentService(std::string pki_folder, absl::Duration lifetime,
                                                    const Peers* peers) {
  return std::make_unique<EnrolmentService>(std::move(pki_folder), lifetime, peers);
}

}  // namespace postern::server
