// SPDX-License-Identifier: Apache-2.0
// Postern's own certificate authority: a folder on the collector's machine,
// closed to everybody but its owner.
//
//   ca.pem ca.key                 the authority; nothing above it
//   collector.pem collector.key   what the collector shows, signed by it
//   tokens/HASH                   a join token that was not used yet, by its SHA-256:
//                                 "HOST SECOND", for whom and until when
//   issued/HASH                   whom a certificate was signed for, by the SHA-256 of
//                                 "ROLE NAME": that, and until when the last one holds.
//                                 On record only: nothing is decided by it
//   revoked                       revocations.h
//
// A token is worth one certificate: whoever removes its file has used it. The folder
// may be used by `postern pki` and a running collector at a time; every change is one
// rename, unlink or appended line. An object itself is for one thread at a time.
//
// Downside: who can read ca.key can be any agent and any operator. It is on the
// collector because that renews agents' certificates by itself.
#ifndef POSTERN_COMMON_PKI_AUTHORITY_H_
#define POSTERN_COMMON_PKI_AUTHORITY_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/pki/revocations.h"
#include "common/tls/certificate.h"
#include "common/tls/context.h"

namespace postern::pki {

inline constexpr char kDefaultFolder[] = "/var/lib/postern-collector/pki";

// The collector's own files in it, and the revocations.
tls::Files CollectorFiles(const std::string& folder);
std::string RevocationsFile(const std::string& folder);

// A host's name as an agent gives it: 1 to 255 printable characters of ASCII
// without a space, of which none is '*'.
absl::Status CheckHostName(const std::string& host);

// What a client reaches the collector by: a name of DNS (RFC 1123, 2.1, and '_' too), or
// an address of IPv4 or IPv6.
absl::Status CheckServerName(const std::string& name);

class Authority {
 public:
  // Makes the folder, whose parent must be there, with a new authority and a
  // certificate for the collector under `servers` (names and addresses).
  // AlreadyExists where there is one: it would make every certificate worthless.
  static absl::StatusOr<Authority> Init(const std::string& folder,
                                        const std::vector<std::string>& servers, absl::Time now);
  // NotFound where there is none.
  static absl::StatusOr<Authority> Open(const std::string& folder);

  // SHA-256 of the CA's certificate, by which an agent knows it.
  std::string Fingerprint() const { return tls::Fingerprint(*certificate_); }
  std::string CertificatePem() const { return tls::ToPem(*certificate_); }

  // 48 hexadecimal digits: 192 random bits.
  absl::StatusOr<std::string> MakeToken(const std::string& host, absl::Time now,
                                        absl::Duration valid);
  // The host that it was made for. PermissionDenied where it is not, or no longer,
  // worth anything. FailedPrecondition where it is for another than `host`, unless that
  // is ""; it is not used up then.
  absl::StatusOr<std::string> Redeem(const std::string& token, const std::string& host,
                                     absl::Time now);

  // A certificate for the key that made the request (PEM), and that of the CA.
  absl::StatusOr<std::string> IssueAgent(const std::string& host, const std::string& request,
                                         absl::Time now, absl::Duration valid);
  struct KeyAndCertificate {
    std::string key;          // PEM
    std::string certificate;  // PEM
  };
  // For a person or program that reads, of all hosts or of those that a pattern
  // names (a name, or with a '*' in it).
  absl::StatusOr<KeyAndCertificate> IssueOperator(const std::string& name,
                                                  const std::vector<std::string>& hosts,
                                                  absl::Time now, absl::Duration valid);

  // Names that certificates of that role were signed for by this folder's CA, as far as
  // this folder has it on record, and those of tokens that were not used yet; sorted.
  // Not those that were signed elsewhere, or before there was a record.
  std::vector<std::string> KnownNames(Role role) const;

  // All certificates of that name until now, and for an agent its tokens too.
  absl::Status Revoke(Role role, const std::string& name, absl::Time now);

  // Signs the collector's certificate anew, for the same names, once half of its
  // time is over; whether it did.
  absl::StatusOr<bool> RenewCollector(absl::Time now);

 private:
  Authority(std::string folder, tls::KeyPtr key, tls::CertificatePtr certificate)
      : folder_(std::move(folder)), key_(std::move(key)), certificate_(std::move(certificate)) {}

  std::string File(const std::string& name) const { return folder_ + "/" + name; }
  std::string TokenFile(const std::string& token) const;
  // In `issued`. Without it a certificate is as good: what cannot be kept is logged.
  void Record(Role role, const std::string& name, absl::Time until) const;
  // A folder that is empty.
  absl::Status Fill(EVP_PKEY& collector_key, const std::vector<std::string>& servers,
                    absl::Time now);
  absl::Status IssueCollector(EVP_PKEY& key, const std::vector<std::string>& servers,
                              absl::Time now);
  // Calls `judge` with each token's host and end, and removes those it says true of.
  template <typename Judge>
  absl::Status RemoveTokens(const Judge& judge);
  // The first second at which a certificate of that name is not revoked.
  absl::StatusOr<absl::Time> FirstValid(Role role, const std::string& name, absl::Time now) const;

  std::string folder_;
  tls::KeyPtr key_;
  tls::CertificatePtr certificate_;
};

}  // namespace postern::pki

#endif  // POSTERN_COMMON_PKI_AUTHORITY_H_
