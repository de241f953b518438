// SPDX-License-Identifier: Apache-2.0
#include "server/trust/judge.h"

#include <openssl/err.h>

#include <optional>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/tls/certificate.h"

namespace postern::server {
namespace {

// Of what OpenSSL has against a certificate.
Grounds GroundsOf(int error) {
  switch (error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return Grounds::kExpired;
    case X509_V_ERR_CERT_REVOKED:
      return Grounds::kRevoked;
    default:
      return Grounds::kNotBelieved;
  }
}

}  // namespace

tls::SslPtr Judge::Begin(int socket, Claim& claim) const {
  claim.judge = this;
  SSL_CTX_set_cert_verify_callback(identity_.context(), Verify, nullptr);
  tls::SslPtr ssl(SSL_new(identity_.context()));
  if (ssl == nullptr || SSL_set_fd(ssl.get(), socket) != 1) {
    ERR_clear_error();
    return nullptr;
  }
  SSL_set_app_data(ssl.get(), &claim);
  SSL_set_accept_state(ssl.get());
  return ssl;
}

Judge::Objection Judge::ObjectTo(const Bearer& bearer, SSL& ssl) const {
  if (identity_.IsRevoked(bearer)) return {"its certificate was revoked", Grounds::kRevoked};
  // Files of Postern's CA change without anybody's being believed less.
  if (!identity_.own_ca()) return {};
  const tls::StoreContextPtr check(X509_STORE_CTX_new());
  const bool asked =
      X509_STORE_CTX_init(check.get(), SSL_CTX_get_cert_store(identity_.context()),
                          SSL_get0_peer_certificate(&ssl), SSL_get_peer_cert_chain(&ssl)) == 1 &&
      X509_STORE_CTX_set_default(check.get(), "ssl_client") == 1;
  const bool believed = asked && X509_verify_cert(check.get()) == 1;
  ERR_clear_error();
  if (believed) return {};
  const int error = X509_STORE_CTX_get_error(check.get());
  return {absl::StrCat("its certificate is not believed any more: ",
                       X509_verify_cert_error_string(error)),
          GroundsOf(error)};
}

int Judge::Verify(X509_STORE_CTX* check, void*) {
  auto* ssl =
      static_cast<SSL*>(X509_STORE_CTX_get_ex_data(check, SSL_get_ex_data_X509_STORE_CTX_idx()));
  auto& claim = *static_cast<Claim*>(SSL_get_app_data(ssl));
  return claim.judge->Takes(check, claim) ? 1 : 0;
}

bool Judge::Takes(X509_STORE_CTX* check, Claim& claim) const {
  X509& certificate = *X509_STORE_CTX_get0_cert(check);
  const auto refuse = [&](int error, Grounds grounds, const std::string& why) {
    claim.refusal = why;
    claim.grounds = grounds;
    X509_STORE_CTX_set_error(check, error);
    return false;
  };
  if (X509_verify_cert(check) != 1) {
    const int error = X509_STORE_CTX_get_error(check);
    // Names of a certificate that proves nothing are only what somebody claims.
    return refuse(error, GroundsOf(error),
                  absl::StrCat("its certificate (it says '",
                               absl::CHexEscape(tls::NamesOf(certificate).common_name),
                               "') is not believed: ", X509_verify_cert_error_string(error)));
  }
  std::optional<Bearer> bearer = BearerOf(certificate, roles_);
  if (!bearer.has_value()) {
    return refuse(X509_V_ERR_APPLICATION_VERIFICATION, Grounds::kNoRole,
                  absl::StrCat("its certificate '", tls::NamesOf(certificate).common_name,
                               "' has no role here; 'roles' in the configuration may give it one"));
  }
  bearer->address = claim.address;
  const std::string title = bearer->Title();
  if (identity_.IsRevoked(*bearer)) {
    return refuse(X509_V_ERR_CERT_REVOKED, Grounds::kRevoked,
                  absl::StrCat("the certificate of ", title, " was revoked"));
  }
  if (conduct_.ShutOut(*bearer)) {
    return refuse(X509_V_ERR_APPLICATION_VERIFICATION, Grounds::kShutOut,
                  absl::StrCat(title, " is shut out"));
  }
  if (const std::string why = admission_.Refusal(*bearer); !why.empty()) {
    return refuse(X509_V_ERR_APPLICATION_VERIFICATION, Grounds::kTooMany, why);
  }
  claim.bearer = std::make_shared<const Bearer>(*std::move(bearer));
  return true;
}

}  // namespace postern::server
