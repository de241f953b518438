// SPDX-License-Identifier: Apache-2.0
// What a side of a connection proves itself with, and whom it believes. TLS 1.3
// and nothing older; no tickets, no resumption: each connection shows its
// certificate.
#ifndef POSTERN_COMMON_TLS_CONTEXT_H_
#define POSTERN_COMMON_TLS_CONTEXT_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/tls/openssl.h"

namespace postern::tls {

// Paths of PEM files.
struct Files {
  std::string ca;    // whose certificates are believed, one or more
  std::string cert;  // our own, and those between it and the CA
  std::string key;   // without a password; may be the same file as `cert`
  std::string crl;   // revoked by the CA; "": none

  friend bool operator==(const Files&, const Files&) = default;
};

// Of the files' inodes, sizes and times: another text when one was replaced.
std::string StampOf(const Files& files);

struct Credentials {
  std::vector<CertificatePtr> authorities;
  std::vector<CertificatePtr> chain;  // our own first
  KeyPtr key;
};
// InvalidArgument, or what reading a file says; names the file. Refused too: a key
// of another certificate, and one that everybody may read.
absl::StatusOr<Credentials> LoadCredentials(const Files& files);

// Likewise, of a key alone.
absl::StatusOr<KeyPtr> ReadKeyFile(const std::string& path);

// When the first certificate of a PEM file ends.
absl::StatusOr<absl::Time> ExpiryOf(const std::string& path);

// For those who accept. Clients must show a certificate of the CA, unless
// `strangers` may come without one. `crl`: a path or "".
absl::StatusOr<ContextPtr> MakeServerContext(const Credentials& credentials, bool strangers,
                                             const std::string& crl);
// For those who connect.
absl::StatusOr<ContextPtr> MakeClientContext(const Credentials& credentials);
// For one who knows the peer's CA by its fingerprint alone, and has no certificate.
absl::StatusOr<ContextPtr> MakePinnedContext(const std::string& ca_fingerprint);

// Makes `ssl` refuse a server whose certificate is not for `server`, a name or an
// address.
absl::Status ExpectServer(SSL& ssl, const std::string& server);

// Why a handshake with `peer`, or reading from it, failed: one line for a person.
// Call it in the thread in which it failed, before any other call of OpenSSL.
absl::Status HandshakeFailure(SSL& ssl, const std::string& peer);

}  // namespace postern::tls

#endif  // POSTERN_COMMON_TLS_CONTEXT_H_
