// SPDX-License-Identifier: Apache-2.0
#include "agent/startup_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "agent/policy/last_good.h"
#include "tests/support/temporary_folder.h"

namespace postern::agent {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

class StartupConfigTest : public testing::Test {
 protected:
  StartupConfigTest() { std::filesystem::create_directory(folder_ / "state"); }
  void Write(const std::string& rest) {
    std::ofstream(file_) << "state_dir: " << (folder_ / "state") << "   # ours\n" << rest;
  }

  TemporaryFolder folder_;
  const std::string file_ = folder_ / "agent.yaml";
  const std::unique_ptr<policy::Host> host_ = policy::RealHost();
};

TEST_F(StartupConfigTest, AFileThatIsAcceptedIsUsed) {
  Write("mode: enforce\n");
  const auto chosen = ChooseConfig(file_, *host_);
  ASSERT_TRUE(chosen.ok()) << chosen.status();
  EXPECT_EQ(chosen->loaded.config->mode, policy::Mode::kEnforce);
  EXPECT_THAT(chosen->refused, IsEmpty());
}

TEST_F(StartupConfigTest, TheLogSaysOnceWhatIsAWarning) {
  policy::LoadedConfig loaded;
  loaded.file = file_;
  loaded.findings.Warn(4, "may surprise");
  loaded.findings.Note(5, "left out");
  testing::internal::CaptureStderr();
  LogFindings(loaded);
  EXPECT_EQ(testing::internal::GetCapturedStderr(),
            absl::StrCat("warning: ", file_, ":4: may surprise\n", file_, ":5: note: left out\n"));
}

TEST_F(StartupConfigTest, WhereTheFileIsRefusedTheLastGoodOneHoldsAndSaysWhy) {
  Write("mode: enforce\n");
  const auto good = ChooseConfig(file_, *host_);
  ASSERT_TRUE(good.ok());
  ASSERT_TRUE(policy::LastGood(folder_ / "state").Keep(good->loaded.text).ok());
  Write("mode: enforced\n");
  const auto chosen = ChooseConfig(file_, *host_);
  ASSERT_TRUE(chosen.ok()) << chosen.status();
  EXPECT_EQ(chosen->loaded.config->mode, policy::Mode::kEnforce);
  ASSERT_GE(chosen->refused.size(), 2u);
  EXPECT_THAT(chosen->refused[0], HasSubstr("last-good.yaml"));
  EXPECT_THAT(chosen->refused[1], HasSubstr(file_ + ":2:"));
}

TEST_F(StartupConfigTest, WithoutALastGoodOneTheConfigurationIsRefused) {
  Write("mode: enforced\n");
  EXPECT_EQ(ChooseConfig(file_, *host_).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ChooseConfig("/nonexistent", *host_).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(StartupConfigTest, ThePinFolderIsKnownDespiteFaultsElsewhere) {
  Write("bpffs: /sys/fs/bpf/mine\nmode: enforced\nrules:\n  - {name: x, user: nobody-at-all}\n");
  EXPECT_EQ(*PinFolderOf(file_), "/sys/fs/bpf/mine");
  Write("mode: monitor\n");
  EXPECT_EQ(*PinFolderOf(file_), policy::Config().bpffs);
}

TEST_F(StartupConfigTest, APinFolderInDoubtIsNotReplacedByTheDefault) {
  for (const char* text :
       {"bpffs: mine\n", "bpffs: [\n", "bpffs:\n", "- bpffs\n", "bpfs: /sys/fs/bpf/mine\n",
        "bpffs: /sys/fs/bpf/a\nbpffs: /sys/fs/bpf/b\n", "mode: monitor\n---\nbpffs: /x\n"}) {
    Write(text);
    const auto folder = PinFolderOf(file_);
    EXPECT_EQ(folder.status().code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(std::string(folder.status().message()), HasSubstr(file_));
  }
  EXPECT_THAT(std::string(PinFolderOf("/nonexistent/agent.yaml").status().message()),
              HasSubstr("/nonexistent/agent.yaml cannot be read"));
}

TEST(TopLevelValueTest, ItIsReadFromATextThatIsRefused) {
  EXPECT_EQ(TopLevelValue("a: 1\nstate_dir: /x  # y\n", "state_dir"), "/x");
  EXPECT_EQ(TopLevelValue("state_dir: \"/x y\"", "state_dir"), "/x y");
  EXPECT_EQ(TopLevelValue("  state_dir: /x", "state_dir"), "") << "not at the top";
  EXPECT_EQ(TopLevelValue("state_dirs: /x", "state_dir"), "");
  EXPECT_EQ(TopLevelValue("", "state_dir"), "");
}

}  // namespace
}  // namespace postern::agent
