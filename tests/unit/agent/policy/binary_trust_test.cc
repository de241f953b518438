// SPDX-License-Identifier: Apache-2.0
#include "agent/policy/binary_trust.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/unit/agent/policy/fake_host.h"

namespace postern::policy {
namespace {

using ::testing::HasSubstr;

class BinaryTrustTest : public testing::Test {
 protected:
  BinaryState Examine(const std::string& path) {
    finding_ = ExamineBinary(host_, path);
    return finding_.state;
  }

  FakeHost host_ = FakeHost::WithPostfix();
  BinaryFinding finding_;
};

TEST_F(BinaryTrustTest, RootsFileInRootsFoldersIsTrusted) {
  EXPECT_EQ(Examine("/usr/lib/postfix/sbin/smtp"), BinaryState::kTrusted);
  EXPECT_EQ(Examine("//usr/./lib/../lib/postfix//sbin/smtp"), BinaryState::kTrusted);
  EXPECT_EQ(finding_.resolved, "/usr/lib/postfix/sbin/smtp");
}

TEST_F(BinaryTrustTest, MissingFileOrFolderIsMissing) {
  EXPECT_EQ(Examine("/usr/lib/postfix/sbin/smtpd"), BinaryState::kMissing);
  EXPECT_EQ(Examine("/usr/libexec/postfix/smtp"), BinaryState::kMissing);
  EXPECT_THAT(finding_.problem, HasSubstr("/usr/libexec"));
  EXPECT_EQ(Examine("/usr/sbin/dma/smtp"), BinaryState::kMissing);
  EXPECT_EQ(Examine("relative/smtp"), BinaryState::kMissing);
  EXPECT_EQ(Examine(""), BinaryState::kMissing);
  EXPECT_EQ(Examine(std::string("/usr/sbin/dma\0x", 15)), BinaryState::kMissing);
}

TEST_F(BinaryTrustTest, FileOfAnotherUserIsUntrusted) {
  host_.Program("/opt/bot", 1000);
  EXPECT_EQ(Examine("/opt/bot"), BinaryState::kUntrusted);
  EXPECT_THAT(finding_.problem, HasSubstr("belongs to uid 1000"));
}

TEST_F(BinaryTrustTest, FileThatOthersMayWriteIsUntrusted) {
  host_.Program("/opt/a", 0, 0775);
  host_.Program("/opt/b", 0, 0757);
  EXPECT_EQ(Examine("/opt/a"), BinaryState::kUntrusted);
  EXPECT_EQ(Examine("/opt/b"), BinaryState::kUntrusted);
}

TEST_F(BinaryTrustTest, FileThatIsOpenForWritingIsUntrusted) {
  host_.being_written = "/usr/sbin/dma";
  EXPECT_EQ(Examine("/usr/sbin/dma"), BinaryState::kUntrusted);
  EXPECT_THAT(finding_.problem, HasSubstr("is open for writing"));
  EXPECT_EQ(Examine("/usr/lib/postfix/sbin/smtp"), BinaryState::kTrusted);
}

TEST_F(BinaryTrustTest, AnyFolderOnTheWayCounts) {
  host_.Folder("/home/alice", 1000);
  host_.Folder("/home/alice/bin");
  host_.Program("/home/alice/bin/smtp");
  EXPECT_EQ(Examine("/home/alice/bin/smtp"), BinaryState::kUntrusted);
  EXPECT_THAT(finding_.problem, HasSubstr("the folder /home/alice belongs to uid 1000"));
  host_.Folder("/opt", 0, 0775);
  host_.Program("/opt/smtp");
  EXPECT_EQ(Examine("/opt/smtp"), BinaryState::kUntrusted);
  host_.Folder("/", 0, 0777);
  EXPECT_EQ(Examine("/usr/sbin/dma"), BinaryState::kUntrusted);
}

TEST_F(BinaryTrustTest, StickyFolderProtectsWhatIsRootsAlone) {
  host_.Folder("/tmp", 0, 01777);
  host_.Program("/tmp/smtp");
  EXPECT_EQ(Examine("/tmp/smtp"), BinaryState::kTrusted);
  host_.Link("/tmp/link", "/usr/sbin/dma", 1000);
  EXPECT_EQ(Examine("/tmp/link"), BinaryState::kUntrusted);
  host_.Link("/tmp/roots", "/usr/sbin/dma", 0);
  EXPECT_EQ(Examine("/tmp/roots"), BinaryState::kTrusted);
  EXPECT_EQ(finding_.resolved, "/usr/sbin/dma");
}

TEST_F(BinaryTrustTest, LinksAreFollowedAndTheirFoldersExamined) {
  host_.Folder("/home/alice", 1000);
  host_.Program("/home/alice/smtp");
  host_.Link("/usr/sbin/sendmail", "../../home/alice/smtp");
  EXPECT_EQ(Examine("/usr/sbin/sendmail"), BinaryState::kUntrusted);
  host_.Link("/bin", "usr/bin");
  host_.Program("/usr/bin/msmtp");
  EXPECT_EQ(Examine("/bin/msmtp"), BinaryState::kTrusted);
  EXPECT_EQ(finding_.resolved, "/usr/bin/msmtp");
  host_.Link("/usr/bin/dangling", "nowhere");
  EXPECT_EQ(Examine("/usr/bin/dangling"), BinaryState::kMissing);
}

TEST_F(BinaryTrustTest, ALinkOutOfAnUntrustedFolderIsUntrusted) {
  host_.Folder("/home/alice", 1000);
  host_.Link("/home/alice/smtp", "/usr/sbin/dma");
  EXPECT_EQ(Examine("/home/alice/smtp"), BinaryState::kUntrusted);
  EXPECT_EQ(Examine("/home/alice/../../usr/sbin/dma"), BinaryState::kUntrusted);
}

TEST_F(BinaryTrustTest, LoopOfLinksIsMissing) {
  host_.Link("/usr/bin/a", "b");
  host_.Link("/usr/bin/b", "a");
  EXPECT_EQ(Examine("/usr/bin/a"), BinaryState::kMissing);
  EXPECT_THAT(finding_.problem, HasSubstr("too many symbolic links"));
  host_.Link("/usr/bin/grow", "grow/grow");
  EXPECT_EQ(Examine("/usr/bin/grow"), BinaryState::kMissing);
}

TEST_F(BinaryTrustTest, WhatIsNoProgramIsUntrusted) {
  EXPECT_EQ(Examine("/usr/lib/postfix"), BinaryState::kUntrusted);
  EXPECT_EQ(Examine("/usr/sbin/dma/"), BinaryState::kUntrusted);
  EXPECT_EQ(Examine("/"), BinaryState::kUntrusted);
  EXPECT_EQ(Examine("/.."), BinaryState::kUntrusted);
  host_.files["/opt/pipe"] = {{S_IFIFO | 0755, 0}, ""};
  EXPECT_EQ(Examine("/opt/pipe"), BinaryState::kUntrusted);
  host_.Program("/opt/plain", 0, 0644);
  EXPECT_EQ(Examine("/opt/plain"), BinaryState::kUntrusted);
}

TEST_F(BinaryTrustTest, ScriptIsRefusedBecauseItsInterpreterIsWhatRuns) {
  host_.Program("/opt/send", 0, 0755, "#!/usr/bin/perl\n");
  EXPECT_EQ(Examine("/opt/send"), BinaryState::kUntrusted);
  EXPECT_THAT(finding_.problem, HasSubstr("script"));
}

TEST_F(BinaryTrustTest, WhatMayNotBeLookedAtIsUnseen) {
  host_.hidden = "/usr/lib/postfix";
  EXPECT_EQ(Examine("/usr/lib/postfix/sbin/smtp"), BinaryState::kUnseen);
}

TEST(BinaryTrustOnThisMachineTest, FollowsRealLinksAndFolders) {
  const auto host = RealHost();
  const BinaryFinding shell = ExamineBinary(*host, "/bin/sh");
  EXPECT_EQ(shell.state, BinaryState::kTrusted) << shell.problem;
  EXPECT_THAT(shell.resolved, HasSubstr("/usr/bin/"));

  std::string folder = absl::StrCat(testing::TempDir(), "/postern-trust-XXXXXX");
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  const std::string program = absl::StrCat(folder, "/program");
  std::ofstream(program) << "\x7f"
                            "ELF";
  EXPECT_FALSE(host->IsBeingWritten(program));
  {
    const std::ofstream writer(program, std::ios::app);
    EXPECT_TRUE(host->IsBeingWritten(program));
  }
  ASSERT_EQ(chmod(program.c_str(), 0777), 0);
  EXPECT_EQ(ExamineBinary(*host, program).state, BinaryState::kUntrusted);
  unlink(program.c_str());
  EXPECT_EQ(ExamineBinary(*host, program).state, BinaryState::kMissing);
  rmdir(folder.c_str());
}

}  // namespace
}  // namespace postern::policy
