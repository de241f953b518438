// SPDX-License-Identifier: Apache-2.0
#include "agent/enrolment/enrol.h"

#include <grpcpp/client_context.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "agent/uplink/line.h"
#include "common/atomic_file.h"
#include "common/status.h"
#include "common/tls/certificate.h"
#include "postern/v1/enrolment.grpc.pb.h"

namespace postern::enrolment {
namespace {

constexpr std::chrono::seconds kPatience(20);

// Of a CA's certificate, an agent's and its key; they have some three kilobytes.
constexpr size_t kRoom = size_t{16} << 10;

std::string FolderOf(const std::string& state_dir) { return state_dir + "/tls"; }

// Of a call over `line`. The numbers of absl's and gRPC's codes are the same by design.
absl::Status Outcome(const uplink::Line& line, const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  return line.Explain(absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                                   absl::StrCat("the collector: ", status.error_message())));
}

// Whether there is room and leave for what is going to be written there.
absl::Status TryToWriteIn(const std::string& folder) {
  const std::string file = folder + "/try";
  RETURN_IF_ERROR(WriteFileAtomically(file, std::string(kRoom, '\n')));
  return unlink(file.c_str()) == 0 ? absl::OkStatus() : ErrnoStatus(errno, file);
}

// What was issued, for the key that it was asked for.
absl::Status Keep(const std::string& state_dir, const std::string& certificate, EVP_PKEY& key) {
  ASSIGN_OR_RETURN(const std::vector<tls::CertificatePtr> issued,
                   tls::ReadCertificates(certificate));
  if (X509_check_private_key(issued.front().get(), &key) != 1) {
    return tls::OpenSslStatus("the collector signed another key than ours");
  }
  return WriteFileAtomically(EnrolledFiles(state_dir).cert,
                             absl::StrCat(certificate, tls::ToPem(key)));
}

}  // namespace

tls::Files EnrolledFiles(const std::string& state_dir) {
  const std::string folder = FolderOf(state_dir);
  return {.ca = folder + "/ca.pem",
          .cert = folder + "/agent.pem",
          .key = folder + "/agent.pem",
          .crl = ""};
}

absl::Status Enrol(const Token& token, const std::string& host, const std::string& state_dir) {
  const std::string pin = tls::NormalFingerprint(token.ca_pin);
  if (pin.empty()) {
    return absl::InvalidArgumentError(
        "--ca-pin wants the 64 hexadecimal digits that `postern pki token` shows");
  }
  RETURN_IF_ERROR(tls::ParseHostPort(token.address).status());
  ASSIGN_OR_RETURN(const tls::KeyPtr key, tls::MakeKey());
  ASSIGN_OR_RETURN(const tls::RequestPtr request, tls::MakeRequest(*key));
  const std::string folder = FolderOf(state_dir);
  // Before the token is used up: what it is exchanged for can be kept.
  if (mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) return ErrnoStatus(errno, folder);
  RETURN_IF_ERROR(TryToWriteIn(folder));

  ASSIGN_OR_RETURN(const uplink::Line line, uplink::DialPinned(token.address, pin));
  RETURN_IF_ERROR(line.tunnel->WaitUntilAnswered());
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kPatience);
  v1::JoinRequest join;
  join.set_token(token.token);
  join.set_host(host);
  join.set_certificate_request(tls::ToPem(*request));
  v1::JoinResponse joined;
  RETURN_IF_ERROR(
      Outcome(line, v1::Enrolment::NewStub(line.channel)->Join(&context, join, &joined)));
  ASSIGN_OR_RETURN(const std::vector<tls::CertificatePtr> authority,
                   tls::ReadCertificates(joined.authority()));
  if (authority.size() != 1 || tls::Fingerprint(*authority.front()) != pin) {
    return absl::PermissionDeniedError("the collector answered with another CA than the pinned");
  }
  // A collector that does not ask for whom it was.
  if (joined.host() != host) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the collector answered with a certificate for host ", joined.host(),
        ", and this agent calls itself ", host, "; it was not kept: make a token for ", host));
  }
  RETURN_IF_ERROR(WriteFileAtomically(EnrolledFiles(state_dir).ca, joined.authority()));
  return Keep(state_dir, joined.certificate(), *key);
}

absl::Status Renew(const std::string& address, const std::string& state_dir) {
  ASSIGN_OR_RETURN(const tls::KeyPtr key, tls::MakeKey());
  ASSIGN_OR_RETURN(const tls::RequestPtr request, tls::MakeRequest(*key));
  ASSIGN_OR_RETURN(const uplink::Line line, uplink::Dial(address, EnrolledFiles(state_dir)));
  RETURN_IF_ERROR(line.tunnel->WaitUntilAnswered());
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kPatience);
  v1::RenewRequest renew;
  renew.set_certificate_request(tls::ToPem(*request));
  v1::RenewResponse renewed;
  RETURN_IF_ERROR(
      Outcome(line, v1::Enrolment::NewStub(line.channel)->Renew(&context, renew, &renewed)));
  return Keep(state_dir, renewed.certificate(), *key);
}

}  // namespace postern::enrolment
