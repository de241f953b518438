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
  identity.files_stamp_ = tls::StampOf(identity.files_);
  RETURN_IF_ERROR(identity.LoadContext());
  if (!config.own_ca()) {
    identity.revocations_stamp_ = identity.RevocationsStamp();
    ASSIGN_OR_RETURN(identity.revocations_,
                     pki::Revocations::Load(pki::RevocationsFile(config.pki_folder)));
  }
  return identity;
}

absl::Status Identity::LoadContext() {
  ASSIGN_OR_RETURN(const tls::Credentials credentials, tls::LoadCredentials(files_));
  ASSIGN_OR_RETURN(context_, tls::MakeServerContext(credentials, /*strangers=*/!pki_folder_.empty(),
                                                    files_.crl));
  return absl::OkStatus();
}

std::string Identity::RevocationsStamp() const {
  return tls::StampOf({.ca = "", .cert = "", .key = "", .crl = pki::RevocationsFile(pki_folder_)});
}

bool Identity::Refresh(absl::Time now) {
  bool changed = false;
  if (!pki_folder_.empty() && now - renewal_looked_ >= kLookForRenewal) {
    renewal_looked_ = now;
    absl::StatusOr<pki::Authority> authority = pki::Authority::Open(pki_folder_);
    const absl::Status renewed =
        authority.ok() ? authority->RenewCollector(now).status() : authority.status();
    if (!renewed.ok()) Complain(renewed, "the collector's own certificate is not renewed");
  }
  if (std::string stamp = tls::StampOf(files_); stamp != files_stamp_) {
    files_stamp_ = std::move(stamp);
    if (const absl::Status loaded = LoadContext(); loaded.ok()) {
      LogInfo("new certificate files hold from now on");
      changed = true;
    } else {
      Complain(loaded, "the certificate files from before hold on");
    }
  }
  if (pki_folder_.empty()) return changed;
  if (std::string stamp = RevocationsStamp(); stamp != revocations_stamp_) {
    revocations_stamp_ = std::move(stamp);
    absl::StatusOr<pki::Revocations> loaded =
        pki::Revocations::Load(pki::RevocationsFile(pki_folder_));
    if (loaded.ok()) {
      revocations_ = *std::move(loaded);
      changed = true;
    } else {
      Complain(loaded.status(), "what was revoked before stays so, nothing further is");
    }
  }
  return changed;
}

}  // namespace postern::server
