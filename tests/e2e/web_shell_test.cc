// SPDX-License-Identifier: Apache-2.0
// A web shell in a PHP-FPM pool: the most common of all rogue senders.
#include "tests/support/lab/lab.h"

namespace postern::lab {
namespace {

using nlohmann::json;

// Both ways in which PHP programs connect: blocking, and without waiting.
class WebShell : public Lab, public testing::WithParamInterface<const char*> {
 protected:
  Attempt Shell() {
    const std::vector<Attempt> attempts = ParseAttempts(
        php().Request("port=25&address=" + internet().v4() + "&way=" + std::string(GetParam())));
    EXPECT_EQ(attempts.size(), 1u);
    return attempts.empty() ? Attempt() : attempts[0];
  }

  void ExpectNamed(const json& event) {
    EXPECT_EQ(event.value("user", ""), "www-data") << event;
    EXPECT_EQ(event.value("uid", 0u), UidOf("www-data")) << event;
    EXPECT_EQ(event.value("exe", ""), php().binary()) << event;
    EXPECT_EQ(event.value("identity", ""), "exec") << event;
    EXPECT_EQ(event.value("rule", ""), "default") << event;
    EXPECT_EQ(event.value("destination", ""), internet().v4()) << event;
    EXPECT_EQ(event.value("ppid", 0), php().master()) << event;
    const json ancestors = event.value("ancestors", json::array());
    const bool master = std::any_of(ancestors.begin(), ancestors.end(), [this](const json& one) {
      return one.value("pid", 0) == php().master() && one.value("exe", "") == php().binary();
    });
    EXPECT_TRUE(master) << "the pool's master is not among the ancestors: " << event;
  }
};

TEST_P(WebShell, IsDeniedInEnforceAndNamed) {
  ASSERT_NO_FATAL_FAILURE(StartPostern("enforce"));
  StartPhp();
  const Attempt attempt = Shell();
  EXPECT_EQ(attempt.result, "EPERM");
  const json event = postern().AwaitOne(attempt.pid);
  EXPECT_EQ(event.value("verdict", ""), "denied") << event;
  ExpectNamed(event);
}

TEST_P(WebShell, PassesInMonitorAndIsRecorded) {
  ASSERT_NO_FATAL_FAILURE(StartPostern("monitor"));
  StartPhp();
  const Attempt attempt = Shell();
  EXPECT_EQ(attempt.result, "OK");
  const json event = postern().AwaitOne(attempt.pid);
  EXPECT_EQ(event.value("verdict", ""), "would_deny") << event;
  ExpectNamed(event);
}

INSTANTIATE_TEST_SUITE_P(Ways, WebShell, testing::Values("fsockopen", "async"),
                         [](const auto& instance) { return std::string(instance.param); });

}  // namespace
}  // namespace postern::lab
