// SPDX-License-Identifier: Apache-2.0
// Certificates of a CA that is not Postern's.
#include <fstream>

#include "absl/strings/str_cat.h"
#include "tests/e2e/trust_fixture.h"

namespace postern {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class OwnCa : public TrustFixture {
 protected:
  void SetUp() override {
    const tls::Files server = ca_.Server({"127.0.0.1"});
    // For one who knows the CA by its fingerprint.
    std::ofstream(server.cert, std::ios::app) << std::ifstream(ca_.ca_file()).rdbuf();
    ASSERT_NO_FATAL_FAILURE(StartCollector(
        absl::StrCat("tls: {ca: ", server.ca, ", cert: ", server.cert, ", key: ", server.key, "}\n",
                     "roles:\n"
                     "  - {name: noc.example.net, role: operator}\n"
                     "  - {name: shop.example.net, role: operator, hosts: [\"shop*\"]}\n"
                     "  - {name: \"*.hosts.example.net\", role: agent}\n")));
  }
  tls::Files Named(const std::string& name) const {
    return ca_.Make(name, {.servers = {name}, .common_name = name});
  }

  support::TestAuthority ca_{folder_.path(), "own"};
};

TEST_F(OwnCa, RolesAreGivenByTheNamesOfCertificates) {
  const std::string host = "web1.hosts.example.net";
  EXPECT_TRUE(CanWrite(Named(host), host));
  EXPECT_FALSE(CanWrite(Named(host), "web2.hosts.example.net"));
  EXPECT_THAT(KnownHosts(), ElementsAre(host));
  EXPECT_THAT(Ask(Named("noc.example.net"), {"hosts"}).output, HasSubstr(host));
  EXPECT_EQ(Ask(Named(host), {"hosts"}).exit_code, 1);
}

TEST_F(OwnCa, OperatorIsBoundByTheConfiguration) {
  ASSERT_TRUE(CanWrite(Named("web1.hosts.example.net"), "web1.hosts.example.net"));
  const tls::Files shop1 = Named("shop1.hosts.example.net");
  ASSERT_TRUE(CanWrite(shop1, "shop1.hosts.example.net"));
  EXPECT_THAT(Ask(Named("shop.example.net"), {"hosts"}).output,
              AllOf(HasSubstr("shop1"), Not(HasSubstr("web1"))));
}

TEST_F(OwnCa, CertificateWithoutARoleMayDoNothing) {
  EXPECT_THAT(Refusal(Named("printer.example.net")),
              HasSubstr("lets the bearer of this certificate do nothing"));
  EXPECT_TRUE(Says("its certificate 'printer.example.net' has no role here"));
}

TEST_F(OwnCa, NobodyComesWithoutACertificate) {
  const uplink::Line line = uplink::DialPinned(address(), ca_.fingerprint()).value();
  EXPECT_THAT(std::string(line.tunnel->WaitUntilAnswered().message()),
              HasSubstr("wants a certificate"));
}

}  // namespace
}  // namespace postern
