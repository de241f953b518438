// SPDX-License-Identifier: Apache-2.0
#include "tests/support/certificates.h"

#include <openssl/pem.h>

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/atomic_file.h"

namespace postern::support {
namespace {

void Write(const std::string& path, const std::string& text) {
  WriteFileAtomically(path, text).IgnoreError();
}

}  // namespace

TestAuthority::TestAuthority(std::string folder, std::string name)
    : folder_(std::move(folder)), name_(std::move(name)), key_(tls::MakeKey().value()) {
  tls::Issue issue;
  issue.use = tls::Use::kAuthority;
  issue.common_name = name_;
  issue.not_before = absl::Now() - absl::Hours(48);
  issue.not_after = absl::Now() + absl::Hours(48);
  certificate_ = tls::Sign(issue, *key_, nullptr, *key_).value();
  Write(ca_file(), tls::ToPem(*certificate_));
}

tls::Files TestAuthority::Make(const std::string& leaf_name, const Leaf& leaf) const {
  const tls::KeyPtr key = tls::MakeKey().value();
  tls::Issue issue;
  issue.use = leaf.use;
  issue.common_name = leaf.common_name;
  issue.uris = leaf.uris;
  issue.servers = leaf.servers;
  issue.not_before = absl::Now() + leaf.begins;
  issue.not_after = absl::Now() + leaf.ends;
  const tls::CertificatePtr certificate = tls::Sign(issue, *key, certificate_.get(), *key_).value();
  tls::Files files;
  files.ca = ca_file();
  files.cert = absl::StrCat(folder_, "/", name_, ".", leaf_name, ".pem");
  files.key = absl::StrCat(folder_, "/", name_, ".", leaf_name, ".key");
  Write(files.cert, tls::ToPem(*certificate));
  Write(files.key, tls::ToPem(*key));
  return files;
}

tls::Files TestAuthority::Agent(const std::string& host) const {
  return Make(host, {.uris = {absl::StrCat(tls::kAgentUri, host)}, .common_name = host});
}

tls::Files TestAuthority::Operator(const std::string& operator_name,
                                   const std::vector<std::string>& hosts) const {
  Leaf leaf;
  leaf.uris = {absl::StrCat(tls::kOperatorUri, operator_name)};
  for (const std::string& host : hosts) leaf.uris.push_back(absl::StrCat(tls::kHostUri, host));
  return Make(operator_name, leaf);
}

tls::Files TestAuthority::Server(const std::vector<std::string>& servers) const {
  return Make("server", {.use = tls::Use::kServer, .servers = servers});
}

std::string TestAuthority::Revoke(const std::vector<tls::Files>& revoked) const {
  const std::unique_ptr<X509_CRL, tls::Free<X509_CRL_free>> crl(X509_CRL_new());
  const std::unique_ptr<ASN1_TIME, tls::Free<ASN1_STRING_free>> time(
      ASN1_TIME_set(nullptr, absl::ToTimeT(absl::Now() - absl::Hours(1))));
  X509_CRL_set_version(crl.get(), X509_CRL_VERSION_2);
  X509_CRL_set_issuer_name(crl.get(), X509_get_subject_name(certificate_.get()));
  X509_CRL_set1_lastUpdate(crl.get(), time.get());
  for (const tls::Files& files : revoked) {
    const tls::Credentials credentials = tls::LoadCredentials(files).value();
    X509_REVOKED* entry = X509_REVOKED_new();
    X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(credentials.chain.front().get()));
    X509_REVOKED_set_revocationDate(entry, time.get());
    X509_CRL_add0_revoked(crl.get(), entry);
  }
  ASN1_TIME_set(time.get(), absl::ToTimeT(absl::Now() + absl::Hours(1)));
  X509_CRL_set1_nextUpdate(crl.get(), time.get());
  X509_CRL_sign(crl.get(), key_.get(), EVP_sha256());
  const tls::BioPtr out(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509_CRL(out.get(), crl.get());
  std::string file = absl::StrCat(folder_, "/", name_, ".crl.pem");
  Write(file, tls::Written(out.get()));
  return file;
}

}  // namespace postern::support
