// SPDX-License-Identifier: Apache-2.0
// Keys, requests and certificates: made, read and compared. PEM throughout.
//
// Who somebody is stands in the subject's alternative names. Certificates of
// Postern's own CA carry URIs of which nobody else has a use:
//
//   postern:agent:HOST        an agent, for the events of that host
//   postern:operator:NAME     somebody who reads
//   postern:host:PATTERN      beside it, as often as needed: which hosts alone
//
// Those of another CA are known by their DNS names, or where there are none by
// their common name; the collector's configuration says what those may do.
//
// Pure functions, safe from any thread. Errors are InvalidArgument, one line.
#ifndef POSTERN_COMMON_TLS_CERTIFICATE_H_
#define POSTERN_COMMON_TLS_CERTIFICATE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/tls/openssl.h"

namespace postern::tls {

inline constexpr absl::string_view kAgentUri = "postern:agent:";
inline constexpr absl::string_view kOperatorUri = "postern:operator:";
inline constexpr absl::string_view kHostUri = "postern:host:";

// On the curve P-256.
absl::StatusOr<KeyPtr> MakeKey();
std::string ToPem(EVP_PKEY& key);
std::string ToPem(X509& certificate);
std::string ToPem(X509_REQ& request);
absl::StatusOr<KeyPtr> ReadKey(absl::string_view pem);
// All of the text, at least one.
absl::StatusOr<std::vector<CertificatePtr>> ReadCertificates(absl::string_view pem);

// A request for a certificate of `key`. It names nobody: who it is for the one
// who signs it decides.
absl::StatusOr<RequestPtr> MakeRequest(EVP_PKEY& key);
// Refuses a request that its key has not signed, and a key that is not of P-256.
absl::StatusOr<KeyPtr> KeyOfRequest(absl::string_view pem);

enum class Use { kAuthority, kServer, kClient };

struct Issue {
  Use use = Use::kClient;
  std::string common_name;
  std::vector<std::string> uris;
  // Names or addresses of a server.
  std::vector<std::string> servers;
  absl::Time not_before;  // to the second
  absl::Time not_after;
};
// Signed by `authority_key`, whose certificate is `authority`; null: by itself.
absl::StatusOr<CertificatePtr> Sign(const Issue& issue, EVP_PKEY& key, X509* authority,
                                    EVP_PKEY& authority_key);

// SHA-256 of the certificate, 64 hexadecimal digits.
std::string Fingerprint(X509& certificate);
// Takes capitals and colons too; "" for what is no fingerprint.
std::string NormalFingerprint(absl::string_view text);

absl::Time NotBefore(X509& certificate);
absl::Time NotAfter(X509& certificate);

struct Names {
  std::vector<std::string> uris;
  // DNS names; the common name where there are none. Only printable ones.
  std::vector<std::string> names;
  std::string common_name;
  // There are URIs that are not printable, and left out: what they said is not known.
  bool unreadable_uri = false;
};
Names NamesOf(X509& certificate);
// The names and addresses that a server's certificate is for.
std::vector<std::string> ServersOf(X509& certificate);

}  // namespace postern::tls

#endif  // POSTERN_COMMON_TLS_CERTIFICATE_H_
