// SPDX-License-Identifier: Apache-2.0
// Rules on units: cgroups by their paths.
#include <unistd.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "agent/policy/unit_path.h"
#include "tests/kernel/cgroup_tree.h"
#include "tests/kernel/kernel_test.h"

namespace postern::testing {
namespace {

using ::testing::ElementsAre;

constexpr char kAsMailer[] = "--uid=105";

class UnitTest : public KernelTest {
 protected:
  UnitTest() : KernelTest(SensorOf::kSuite) {}

  std::string ResultIn(const std::string& unit) {
    return Connect({absl::StrCat("--cgroup=", cgroups_.folder(), unit), kAsMailer}).back();
  }

  const std::string name_ = absl::StrCat("/postern-test-", getpid());
  // The last: what one may call a cgroup that was delegated to it.
  const CgroupTree cgroups_ = {
      name_, {"/mail.service/own", absl::StrCat("/customer", name_, "/mail.service")}};
};

TEST_F(UnitTest, UnitIsItsWholePathAndNotWhatLiesBelow) {
  policy::Rule rule = AllowAll();
  rule.units = {policy::ParseUnitPath(name_ + "/mail.service").value()};
  Enforce({rule});
  EXPECT_EQ(ResultIn("/mail.service"), "OK");
  EXPECT_EQ(ResultIn("/mail.service/own"), "EPERM");
  EXPECT_EQ(ResultIn("/customer"), "EPERM");
  EXPECT_EQ(ResultIn("/customer" + name_ + "/mail.service"), "EPERM");
  EXPECT_THAT(Connect({kAsMailer}), ElementsAre("EPERM"));
}

TEST_F(UnitTest, BeginningOfAPathIsEverythingThatBeginsSo) {
  policy::Rule rule = AllowAll();
  rule.units = {policy::ParseUnitPath(name_ + "/mail*").value()};
  rule.excluded.units = {policy::ParseUnitPath(name_ + "/mail.service/own").value()};
  Enforce({rule});
  EXPECT_EQ(ResultIn("/mail.service"), "OK");
  EXPECT_EQ(ResultIn("/mail.service/own"), "EPERM");
  EXPECT_EQ(ResultIn(""), "EPERM");
  rule.excluded = {};
  Enforce({rule});
  EXPECT_EQ(ResultIn("/mail.service/own"), "OK");
}

TEST_F(UnitTest, UnitWhosePathIsTooLongIsInNone) {
  const std::string deep = absl::StrCat("/", std::string(200, 'd'), "/", std::string(200, 'e'));
  ASSERT_TRUE(std::filesystem::create_directories(cgroups_.folder() + deep));
  policy::Rule rule = AllowAll();
  rule.units = {policy::ParseUnitPath(name_ + "*").value()};
  Enforce({rule});
  EXPECT_EQ(ResultIn(""), "OK");
  EXPECT_EQ(ResultIn(deep), "EPERM");
  rule.units = {};
  rule.excluded.units = {policy::ParseUnitPath(name_ + "/customer").value()};
  Enforce({rule});
  EXPECT_EQ(ResultIn(""), "OK");
  EXPECT_EQ(ResultIn(deep), "EPERM");
  // It may be in any that is denied.
  policy::Rule deny = AllowAll();
  deny.name = "customers";
  deny.units = {policy::ParseUnitPath(name_ + "/customer*").value()};
  deny.action = POSTERN_ACTION_DENY;
  Enforce({deny, AllowAll()});
  EXPECT_EQ(ResultIn(""), "OK");
  EXPECT_EQ(ResultIn("/customer"), "EPERM");
  EXPECT_EQ(ResultIn(deep), "EPERM");
}

}  // namespace
}  // namespace postern::testing
