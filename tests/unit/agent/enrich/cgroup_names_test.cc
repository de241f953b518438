// SPDX-License-Identifier: Apache-2.0
#include "agent/enrich/cgroup_names.h"

#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"

namespace postern::enrich {
namespace {

const std::string kId(64, 'a');
const std::string kShown(12, 'a');

TEST(UnitTest, TheFirstComponentThatIsNoSliceIsTheUnit) {
  EXPECT_EQ(UnitOf("/system.slice/postfix.service"), "postfix.service");
  EXPECT_EQ(UnitOf("/system.slice/system-postfix.slice/postfix@-.service"), "postfix@-.service");
  EXPECT_EQ(UnitOf("/user.slice/user-1000.slice/session-3.scope"), "session-3.scope");
  EXPECT_EQ(UnitOf("/init.scope"), "init.scope");
}

TEST(UnitTest, AUserCannotNameItsOwnUnitAfterTheSystems) {
  EXPECT_EQ(UnitOf("/user.slice/user-33.slice/user@33.service/app.slice/postfix.service"),
            "user@33.service");
  EXPECT_EQ(UnitOf("/system.slice/apache2.service/postfix.service"), "apache2.service");
}

TEST(UnitTest, SlicesAloneAreNamedByTheLast) {
  EXPECT_EQ(UnitOf("/user.slice/user-0.slice"), "user-0.slice");
}

TEST(UnitTest, PathsOfOtherManagersNameNoUnit) {
  EXPECT_EQ(UnitOf("/"), "");
  EXPECT_EQ(UnitOf(""), "");
  EXPECT_EQ(UnitOf("/docker/" + kId), "");
}

TEST(ContainerTest, RuntimesAreKnownByTheirScopesAndFolders) {
  EXPECT_EQ(ContainerOf(absl::StrCat("/system.slice/docker-", kId, ".scope")), kShown);
  EXPECT_EQ(ContainerOf("/docker/" + kId), kShown);
  EXPECT_EQ(ContainerOf(absl::StrCat("/machine.slice/libpod-", kId, ".scope/container")), kShown);
  EXPECT_EQ(ContainerOf(
                absl::StrCat("/kubepods.slice/kubepods-pod1.slice/cri-containerd-", kId, ".scope")),
            kShown);
  EXPECT_EQ(ContainerOf("/kubepods/burstable/pod0f/" + kId), kShown);
  EXPECT_EQ(ContainerOf(absl::StrCat("/kubepods.slice/crio-", kId, ".scope")), kShown);
}

TEST(ContainerTest, NamedContainersKeepTheirNames) {
  EXPECT_EQ(ContainerOf("/lxc.payload.mail"), "mail");
  EXPECT_EQ(ContainerOf("/lxc/mail"), "mail");
  EXPECT_EQ(ContainerOf("/machine.slice/systemd-nspawn@mail.service/payload"), "mail");
  EXPECT_EQ(ContainerOf("/machine.slice/machine-web\\\\x2d1.scope"), "web-1");
}

// Found by the fuzzer of listings, and beside it.
TEST(ContainerTest, NamesThatLookEscapedButAreNotStayAsTheyAre) {
  EXPECT_EQ(ContainerOf("/machine.slice/machine-web\\.scope"), "web\\");
  EXPECT_EQ(ContainerOf("/machine.slice/machine-web\\\\.scope"), "web\\\\");
  EXPECT_EQ(ContainerOf("/machine.slice/machine-max2dog.scope"), "max2dog");
}

TEST(ContainerTest, TheInnermostOneIsNamed) {
  const std::string inner(64, 'b');
  EXPECT_EQ(ContainerOf(absl::StrCat("/system.slice/docker-", kId, ".scope/docker/", inner)),
            std::string(12, 'b'));
}

TEST(ContainerTest, MonitorsMachinesAndServicesAreNone) {
  EXPECT_EQ(ContainerOf(absl::StrCat("/machine.slice/libpod-conmon-", kId, ".scope")), "");
  EXPECT_EQ(ContainerOf("/machine.slice/machine-qemu\\\\x2d1\\\\x2dvm.scope"), "");
  EXPECT_EQ(ContainerOf("/system.slice/docker.service"), "");
  EXPECT_EQ(ContainerOf(""), "");
}

}  // namespace
}  // namespace postern::enrich
