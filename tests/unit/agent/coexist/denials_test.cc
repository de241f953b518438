// SPDX-License-Identifier: Apache-2.0
#include "agent/coexist/denials.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"

namespace postern::coexist {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::StartsWith;

class DenialsTest : public testing::Test {
 protected:
  Denials denials_{{"/usr/sbin/posternd", "/sys/fs/bpf/postern", "/var/lib/postern-agent"},
                   absl::FromUnixSeconds(1700000000)};
};

TEST_F(DenialsTest, AppArmorsAreNamedWhereverTheyAreWritten) {
  denials_.AddLine(
      "type=AVC msg=audit(1700000100.101:201): apparmor=\"DENIED\" operation=\"open\" "
      "class=\"file\" profile=\"posternd\" name=\"/etc/postern/agent.yaml\" pid=812 "
      "comm=\"posternd\" requested_mask=\"r\" denied_mask=\"r\" fsuid=0 ouid=0",
      "/var/log/audit/audit.log");
  denials_.AddLine(
      "audit: type=1400 audit(1700000200.102:202): apparmor=\"DENIED\" operation=\"open\" "
      "profile=\"posternd\" name=\"/etc/postern/agent.yaml\" pid=812 comm=\"posternd\" "
      "requested_mask=\"r\" denied_mask=\"r\" fsuid=0 ouid=0",
      "the kernel's log");
  // The second again, from another log.
  denials_.AddLine(
      "Nov 14 22:16:40 web1 kernel: [  100.1] audit: type=1400 audit(1700000200.102:202): "
      "apparmor=\"DENIED\" operation=\"open\" profile=\"posternd\" "
      "name=\"/etc/postern/agent.yaml\" pid=812 comm=\"posternd\"",
      "/var/log/kern.log");
  EXPECT_THAT(denials_.Notes(),
              ElementsAre(AllOf(StartsWith("AppArmor (profile posternd) denied posternd `open` on "
                                           "/etc/postern/agent.yaml, 2 times in the last day, last "
                                           "2023-11-14T22:16:40Z (the kernel's log): "),
                                HasSubstr("it cannot judge, record or answer"))));
}

TEST_F(DenialsTest, SelinuxsAreNamed) {
  denials_.AddLine(
      "type=AVC msg=audit(1700000100.101:201): avc:  denied  { map_create prog_load } for  pid=812 "
      "comm=\"posternd\" scontext=system_u:system_r:init_t:s0 tcontext=system_u:system_r:init_t:s0 "
      "tclass=bpf permissive=0",
      "/var/log/audit/audit.log");
  denials_.AddLine(
      "type=AVC msg=audit(1700000100.101:202): avc:  denied  { unlink } for  pid=900 comm=\"rm\" "
      "path=\"/sys/fs/bpf/postern/v1\" dev=\"bpf\" ino=1 scontext=a tcontext=b tclass=dir "
      "permissive=1",
      "/var/log/audit/audit.log");
  EXPECT_THAT(
      denials_.Notes(),
      ElementsAre(AllOf(StartsWith("SELinux (permissive) would deny rm `unlink` of class dir "
                                   "on /sys/fs/bpf/postern/v1, 1 time "),
                        HasSubstr("last 2023-11-14T22:15:00Z"), HasSubstr("a file of Postern's")),
                  StartsWith("SELinux denied posternd `map_create prog_load` of class bpf")));
}

TEST_F(DenialsTest, OthersOldOnesAndOtherLinesAreNot) {
  const std::string tail = " profile=\"x\" pid=1 comm=";
  for (const std::string& line : {
           absl::StrCat("audit(1700000100.1:1): apparmor=\"DENIED\" name=\"/etc/passwd\"", tail,
                        "\"cupsd\""),
           absl::StrCat("audit(1700000100.1:2): apparmor=\"ALLOWED\" name=\"/x\"", tail,
                        "\"posternd\""),
           absl::StrCat("audit(1699999999.1:3): apparmor=\"DENIED\" name=\"/x\"", tail,
                        "\"posternd\""),
           absl::StrCat("audit(1700000100.1:4): apparmor=\"DENIED\" "
                        "name=\"/sys/fs/bpf/postern-of-another\"",
                        tail, "\"cat\""),
           absl::StrCat("audit(: apparmor=\"DENIED\" name=\"/x\"", tail, "\"posternd\""),
           std::string("avc:  denied  {"),
           std::string("apparmor=\"DENIED\""),
           std::string(),
           std::string("type=AVC msg=audit(1700000100.1:5): avc:  granted  { read } for  pid=1 "
                       "comm=\"posternd\""),
       }) {
    denials_.AddLine(line, "log");
  }
  EXPECT_THAT(denials_.Notes(), IsEmpty());
}

TEST_F(DenialsTest, WhatAProcessCanChooseDoesNotGrowOrBreakTheNotes) {
  for (int i = 0; i < 1000; ++i) {
    denials_.AddLine(
        absl::StrCat("audit(1700000100.1:", i, "): apparmor=\"DENIED\" operation=\"", i,
                     "\" name=\"/\x1b[2J", std::string(5000, 'x'), "\" comm=\"posternd\""),
        "log");
  }
  const std::vector<std::string> notes = denials_.Notes();
  ASSERT_THAT(notes, SizeIs(9));
  EXPECT_THAT(notes[0], HasSubstr("/?[2Jxxx"));
  EXPECT_LT(notes[0].size(), 400u);
  EXPECT_THAT(notes.back(), HasSubstr("more on Postern's files"));
}

}  // namespace
}  // namespace postern::coexist
