// SPDX-License-Identifier: Apache-2.0
#include "server/trust/identity.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include "absl/time/clock.h"
#include "common/steady_clock.h"
#include "tests/support/temporary_folder.h"

namespace postern::server {
namespace {

// Nothing can be opened as long as it lives.
class NoDescriptors {
 public:
  NoDescriptors() {
    getrlimit(RLIMIT_NOFILE, &before_);
    const rlimit none = {.rlim_cur = 0, .rlim_max = before_.rlim_max};
    setrlimit(RLIMIT_NOFILE, &none);
  }
  ~NoDescriptors() { setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_ = {};
};

class IdentityTest : public testing::Test {
 protected:
  IdentityTest() { config_.pki_folder = folder_ / "pki"; }

  bool Refresh(Identity& identity) {
    now_ += absl::Seconds(1);
    return identity.Refresh(now_, wall_);
  }
  Bearer Web1() const {
    Bearer bearer;
    bearer.role = pki::Role::kAgent;
    bearer.name = "web1";
    bearer.since = wall_ - absl::Minutes(1);
    return bearer;
  }

  TemporaryFolder folder_;
  TrustConfig config_;
  absl::Time now_ = SteadyNow();
  absl::Time wall_ = absl::Now();
  pki::Authority authority_ = pki::Authority::Init(folder_ / "pki", {"127.0.0.1"}, wall_).value();
};

TEST_F(IdentityTest, RevocationIsSeenOnceThereIsADescriptorAgain) {
  Identity identity = Identity::Load(config_).value();
  ASSERT_EQ(authority_.Revoke(pki::Role::kAgent, "web1", wall_), absl::OkStatus());
  {
    const NoDescriptors none;
    EXPECT_FALSE(Refresh(identity));
    EXPECT_FALSE(identity.IsRevoked(Web1()));
  }
  EXPECT_TRUE(Refresh(identity));
  EXPECT_TRUE(identity.IsRevoked(Web1()));
}

TEST_F(IdentityTest, NewCertificateIsSeenOnceThereIsADescriptorAgain) {
  Identity identity = Identity::Load(config_).value();
  ASSERT_TRUE(authority_.RenewCollector(wall_ + absl::Hours(24 * 60)).value());
  {
    const NoDescriptors none;
    EXPECT_FALSE(Refresh(identity));
  }
  EXPECT_TRUE(Refresh(identity));
  EXPECT_FALSE(Refresh(identity));
}

}  // namespace
}  // namespace postern::server
