// SPDX-License-Identifier: Apache-2.0
#include "server/trust/identity.h"

#include <utility>

#include "common/log.h"
#include "common/status.h"

namespace postern::server {
namespace {

constexpr absl::Duration kLookForRenewal = absl::Hours(1);

void Complain(const absl::Status& status, const char* what) {
  LogError("%s; %s", std::string(status.message()), what);
}

}  // namespace

Identity::Identity(const TrustConfig& config)
    : pki_folder_(config.own_ca() ? "" : config.pki_folder),
      files_(config.own_ca() ? config.files : pki::CollectorFiles(config.pki_folder)) {}

absl::StatusOr<Identity> Identity::Load(const TrustConfig& config) {
  Identity identity(config);
  if (!config.own_ca()) RETURN_IF_ERROR(pki::Authority::Open(config.pki_folder).status());
  identity.followed_files_.stamp = tls::StampOf(identity.files_);
  RETURN_IF_ERROR(identity.LoadContext());
  if (!config.own_ca()) {
    identity.followed_revocations_.stamp = identity.RevocationsStamp();
    RETURN_IF_ERROR(identity.LoadRevocations());
  }
  return identity;
}

absl::Status Identity::LoadContext() {
  ASSIGN_OR_RETURN(const tls::Credentials credentials, tls::LoadCredentials(files_));
  ASSIGN_OR_RETURN(context_,
                   tls::MakeServerContext(credentials, /*strangers=*/!own_ca(), files_.crl));
  return absl::OkStatus();
}

absl::Status Identity::LoadRevocations() {
  ASSIGN_OR_RETURN(revocations_, pki::Revocations::Load(pki::RevocationsFile(pki_folder_)));
  return absl::OkStatus();
}

std::string Identity::RevocationsStamp() const {
  return tls::StampOf({.ca = "", .cert = "", .key = "", .crl = pki::RevocationsFile(pki_folder_)});
}

bool Identity::IsRevoked(const Bearer& bearer) const {
  return bearer.since <= revocations_.RevokedUntil(*bearer.role, bearer.name);
}

bool Identity::Follow(Followed& followed, std::string stamp, const char* otherwise,
                      const std::function<absl::Status()>& load) {
  if (stamp == followed.stamp) return false;
  if (const absl::Status loaded = load(); !loaded.ok()) {
    if (loaded.message() == followed.failure) return false;
    followed.failure = std::string(loaded.message());
    Complain(loaded, otherwise);
    return false;
  }
  followed = {.stamp = std::move(stamp), .failure = ""};
  return true;
}

bool Identity::Refresh(absl::Time now, absl::Time wall) {
  if (!own_ca() && now - renewal_looked_ >= kLookForRenewal) {
    renewal_looked_ = now;
    absl::StatusOr<pki::Authority> authority = pki::Authority::Open(pki_folder_);
    const absl::Status renewed =
        authority.ok() ? authority->RenewCollector(wall).status() : authority.status();
    if (!renewed.ok()) Complain(renewed, "the collector's own certificate is not renewed");
  }
  const bool new_files =
      Follow(followed_files_, tls::StampOf(files_), "the certificate files from before hold on",
             [this] { return LoadContext(); });
  if (new_files) LogInfo("new certificate files hold from now on");
  if (own_ca()) return new_files;
  const bool new_revocations = Follow(followed_revocations_, RevocationsStamp(),
                                      "what was revoked before stays so, nothing further is",
                                      [this] { return LoadRevocations(); });
  return new_files || new_revocations;
}

}  // namespace postern::server
