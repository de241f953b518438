// SPDX-License-Identifier: Apache-2.0
// An agent and its collector over TCP: from the join token to the revocation.
#include "tests/e2e/tls_link.h"

namespace postern::lab {
namespace {

TEST_F(TlsLink, AgentEnrolsIsRenewedAndRevokedAndLosesNothing) {
  EXPECT_TRUE(HasProblem("posternd --enroll"));
  const Attempt before = Rogue();
  ASSERT_NO_FATAL_FAILURE(tls_->Enrol());
  // A running agent takes it up, and sends what waited.
  postern().AwaitOne(before.pid);

  const std::string first = Certificate();
  EXPECT_TRUE(Eventually([&] { return Certificate() != first; })) << postern().agent_log();
  postern().AwaitOne(Rogue().pid);
  // Past the end of the first one.
  const std::string second = Certificate();
  EXPECT_TRUE(Eventually([&] { return Certificate() != second; })) << postern().agent_log();
  postern().AwaitOne(Rogue().pid);
  postern().ExpectComplete();

  tls_->Pki({"revoke", "lab.example.net"});
  EXPECT_TRUE(HasProblem("has revoked this certificate"));
  const Attempt meanwhile = Rogue();
  ASSERT_NO_FATAL_FAILURE(tls_->Enrol());
  postern().AwaitOne(meanwhile.pid);
  postern().ExpectComplete();
}

}  // namespace
}  // namespace postern::lab
