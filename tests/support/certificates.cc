// SPDX-License-Identifier: Apache-2.0
#include "tests/support/certificates.h"

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

}  // namespace postern::support
