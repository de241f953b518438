// SPDX-License-Identifier: Apache-2.0
// Which certificates are taken from clients. OpenSSL asks during the handshake, so
// that the client is told in TLS's own words; that it also has the certificate's key is
// proven by the handshake's end alone, and nothing may be held against anybody before.
// For one thread.
#ifndef POSTERN_SERVER_TRUST_JUDGE_H_
#define POSTERN_SERVER_TRUST_JUDGE_H_

#include <memory>
#include <string>
#include <vector>

#include "common/tls/openssl.h"
#include "server/metrics/figures.h"
#include "server/trust/admission.h"
#include "server/trust/bearer.h"
#include "server/trust/conduct.h"
#include "server/trust/identity.h"

namespace postern::server {

class Judge {
 public:
  // What came of the certificate that a client shows.
  struct Claim {
    std::string address = {};                        // the client's
    std::shared_ptr<const Bearer> bearer = nullptr;  // null: it showed none, or it was not taken
    std::string refusal = {};                        // why not; "" where it was not refused
    Grounds grounds = Grounds::kNoTls;               // of the refusal
    const Judge* judge = nullptr;                    // its own
  };

  // All of them outlive it.
  Judge(const std::vector<RoleRule>& roles, const Identity& identity, const Conduct& conduct,
        const Admission& admission)
      : roles_(roles), identity_(identity), conduct_(conduct), admission_(admission) {}

  // The server's side of a handshake on `socket`, in which the client's certificate
  // becomes `claim`. Both, and this, outlive it. Null where there is no memory.
  tls::SslPtr Begin(int socket, Claim& claim) const;
  struct Objection {
    std::string why;  // "": none
    Grounds grounds = Grounds::kNotBelieved;
  };
  // Why `bearer`, whose certificate was taken on `ssl`, may not stay now that other files
  // hold.
  Objection ObjectTo(const Bearer& bearer, SSL& ssl) const;

 private:
  static int Verify(X509_STORE_CTX* check, void*);
  bool Takes(X509_STORE_CTX* check, Claim& claim) const;

  const std::vector<RoleRule>& roles_;
  const Identity& identity_;
  const Conduct& conduct_;
  const Admission& admission_;
};

}  // namespace postern::server

#endif  // POSTERN_SERVER_TRUST_JUDGE_H_
