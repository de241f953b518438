// SPDX-License-Identifier: Apache-2.0
// A certificate authority that signs whatever a test wants, as files.
#ifndef POSTERN_TESTS_SUPPORT_CERTIFICATES_H_
#define POSTERN_TESTS_SUPPORT_CERTIFICATES_H_

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "common/tls/certificate.h"
#include "common/tls/context.h"

namespace postern::support {

class TestAuthority {
 public:
  struct Leaf {
    tls::Use use = tls::Use::kClient;
    std::vector<std::string> uris = {};
    std::vector<std::string> servers = {};  // also a client's DNS names
    std::string common_name = "test";
    absl::Duration begins = -absl::Hours(1);  // from now
    absl::Duration ends = absl::Hours(1);
  };

  // Its files are put in `folder`, which is there, under `name`.
  TestAuthority(std::string folder, std::string name);

  // NAME.ca.pem, NAME.LEAF.pem and NAME.LEAF.key.
  tls::Files Make(const std::string& leaf_name, const Leaf& leaf) const;
  // An agent's, an operator's, as `postern pki` would sign it.
  tls::Files Agent(const std::string& host) const;
  tls::Files Operator(const std::string& operator_name,
                      const std::vector<std::string>& hosts = {}) const;
  tls::Files Server(const std::vector<std::string>& servers) const;
  // NAME.crl.pem, which revokes those and no other, and holds for an hour.
  std::string Revoke(const std::vector<tls::Files>& revoked) const;

  std::string ca_file() const { return folder_ + "/" + name_ + ".ca.pem"; }
  std::string fingerprint() const { return tls::Fingerprint(*certificate_); }

 private:
  std::string folder_;
  std::string name_;
  tls::KeyPtr key_;
  tls::CertificatePtr certificate_;
};

}  // namespace postern::support

#endif  // POSTERN_TESTS_SUPPORT_CERTIFICATES_H_
