// SPDX-License-Identifier: Apache-2.0
// Where the agent cannot run it says so in one line, leaves with the right code,
// and leaves nothing attached; where it can run in part, status says which.
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "tests/support/lab/lab.h"

namespace postern::lab {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

class BadInput : public Lab {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(Lab::SetUp());
    if (IsSkipped()) return;
    config_.mode = "enforce";
    config_.rules = DefaultRules(smtp());
    config_.collector = false;
    postern().Configure(config_);
  }

  // Refused with `exit_code`, in one line that has `word` in it; nothing is judged afterwards.
  void ExpectRefused(const std::vector<std::string>& wrapper, int exit_code,
                     const std::string& word) {
    const support::Finished run =
        postern().RunAgent({"--config", postern().config_file()}, wrapper);
    EXPECT_EQ(run.exit_code, exit_code) << run.error;
    const std::vector<std::string> lines = absl::StrSplit(run.error, '\n', absl::SkipEmpty());
    EXPECT_EQ(lines.size(), 1u) << run.error;
    EXPECT_TRUE(absl::StrContains(run.error, word)) << run.error;
    EXPECT_EQ(Rogue().result, "OK") << "something was left attached";
  }

  // In a mount namespace of its own, after `command`.
  static std::vector<std::string> After(const std::string& command) {
    return {"unshare", "-m", "sh", "-c", command + " && exec \"$@\"", "sh"};
  }

  AgentConfig config_;
};

TEST_F(BadInput, HostWithoutCgroup2IsRefused) {
  ExpectRefused(After("for m in $(awk '$3 == \"cgroup2\" {print $2}' /proc/self/mounts); do "
                      "umount -l $m; done"),
                1, "cgroup");
}

TEST_F(BadInput, FolderThatIsNoCgroup2IsRefused) {
  config_.extra = "cgroup: /tmp\n";
  postern().Configure(config_);
  ExpectRefused({}, 1, "/tmp");
}

TEST_F(BadInput, KernelWithoutBtfIsRefused) {
  // Nor in a kernel image, wherever libbpf looks for one (btf__load_vmlinux_btf).
  ExpectRefused(After("for d in /sys/kernel/btf /boot /usr/lib/modules /usr/lib/debug; do "
                      "test ! -d $d || mount -t tmpfs none $d || exit 126; done"),
                1, "BTF");
}

TEST_F(BadInput, LackOfCapabilitiesIsRefused) {
  ExpectRefused({"capsh", "--drop=cap_bpf,cap_sys_admin,cap_perfmon", "--shell=/usr/bin/env", "--"},
                1, "CAP_BPF");
}

TEST_F(BadInput, UserOtherThanRootIsRefused) {
  ExpectRefused({"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"}, 1,
                "run it as root");
}

TEST_F(BadInput, PinFolderOutsideABpffsIsRefused) {
  config_.extra = "";
  const std::string text = ReadFile(postern().config_file());
  const std::string folder = root() + "/pins";
  WriteFile(postern().config_file(), std::string(text).replace(text.find(postern().pins()),
                                                               postern().pins().size(), folder));
  ExpectRefused({}, 1, root());
  EXPECT_FALSE(fs::exists(folder)) << "it was made all the same";
}

TEST_F(BadInput, PinFolderThatIsASymbolicLinkIsRefused) {
  const std::string target = postern().pins() + "-target";
  fs::create_directory(target);
  fs::create_directory_symlink(target, postern().pins());
  ExpectRefused({}, 1, postern().pins());
  EXPECT_TRUE(fs::is_empty(target));
  fs::remove(postern().pins());
  fs::remove(target);
}

TEST_F(BadInput, PinFolderThatOthersMayWriteIsRefused) {
  fs::create_directory(postern().pins());
  ASSERT_EQ(chmod(postern().pins().c_str(), 0777), 0);
  ExpectRefused({}, 1, postern().pins());
  ASSERT_EQ(chmod(postern().pins().c_str(), 0700), 0);
  ASSERT_EQ(chown(postern().pins().c_str(), 65534, 65534), 0);
  ExpectRefused({}, 1, postern().pins());
  fs::remove(postern().pins());
}

TEST_F(BadInput, BpffsThatIsNotMountedIsMounted) {
  const std::vector<std::string> wrapper =
      After("while mountpoint -q /sys/fs/bpf; do umount -l /sys/fs/bpf; done");
  std::vector<std::string> command = wrapper;
  command.insert(command.end(), {postern().posternd(), "--config", postern().config_file()});
  auto agent = Start(command, {.notify = true});
  EXPECT_EQ(agent->WaitReady(), absl::OkStatus());
  EXPECT_EQ(Rogue().result, "EPERM");
  agent->Signal(SIGTERM);
  EXPECT_EQ(agent->Wait().value_or(-1), 0) << agent->Error();
  // With that mount namespace went the bpffs, and the pins in it.
  EXPECT_TRUE(Eventually([&] { return Rogue().result == "OK"; }));
}

TEST_F(BadInput, RunDirThatCannotBeWrittenIsRefused) {
  WriteFile(postern().run_dir(), "a file, not a folder\n");
  ExpectRefused({}, 1, postern().run_dir());
}

TEST_F(BadInput, StateDirThatCannotBeWrittenIsRefused) {
  WriteFile(postern().state_dir(), "a file, not a folder\n");
  ExpectRefused({}, 1, postern().state_dir());
}

TEST_F(BadInput, SecondAgentIsRefusedAndTheFirstGoesOn) {
  ASSERT_NO_FATAL_FAILURE(StartPostern("enforce"));
  const support::Finished second = postern().RunAgent({"--config", postern().config_file()});
  EXPECT_EQ(second.exit_code, 1) << second.error;
  EXPECT_TRUE(absl::StrContains(second.error, "another posternd")) << second.error;
  EXPECT_EQ(std::count(second.error.begin(), second.error.end(), '\n'), 1) << second.error;
  const Attempt rogue = Rogue();
  EXPECT_EQ(rogue.result, "EPERM");
  EXPECT_EQ(postern().AwaitOne(rogue.pid).value("verdict", ""), "denied");
  EXPECT_EQ(postern().Ask({"status"}).exit_code, 0);
}

TEST_F(BadInput, SecondAgentOnTheSameSocketsIsRefused) {
  ASSERT_NO_FATAL_FAILURE(StartPostern("enforce"));
  const std::string file = root() + "/second.yaml";
  const std::string state_dir = root() + "/second-state";
  const std::string pins = postern().pins() + "-second";
  WriteFile(file,
            absl::StrReplaceAll(ReadFile(postern().config_file()),
                                {{postern().state_dir(), state_dir}, {postern().pins(), pins}}));
  const support::Finished second = postern().RunAgent({"--config", file});
  EXPECT_EQ(second.exit_code, 1) << second.error;
  EXPECT_TRUE(absl::StrContains(second.error, "run_dir " + postern().run_dir())) << second.error;
  EXPECT_EQ(std::count(second.error.begin(), second.error.end(), '\n'), 1) << second.error;
  EXPECT_FALSE(fs::exists(pins)) << "it was made all the same";
  EXPECT_EQ(postern().Ask({"mode", "monitor"}).exit_code, 0);
  EXPECT_EQ(Rogue().result, "OK") << "another agent was asked";
}

TEST_F(BadInput, EachFaultOfAConfigurationIsNamedByItsLine) {
  const std::string file = root() + "/faults.yaml";
  WriteFile(file,
            "mode: enforc\n"
            "ports: [25, 70000]\n"
            "rule:\n"
            "rules:\n"
            "  - name: one\n"
            "    user: no-such-user\n"
            "    action: allow\n"
            "  - name: two\n"
            "    exe: /no/such/binary\n"
            "    action: allow\n");
  for (const char* option : {"--check-config", "--config"}) {
    const support::Finished run = postern().RunAgent({option, file});
    // A check answers on standard output; an agent that does not start complains.
    const std::string text = run.output + run.error;
    EXPECT_EQ(run.exit_code, 2) << text;
    for (const char* fault : {":1:", ":2:", ":3:", ":6:", ":9:", "'rules'", "no-such-user",
                              "/no/such/binary", "70000"}) {
      EXPECT_TRUE(absl::StrContains(text, fault)) << fault << " is not in:\n" << text;
    }
  }
  EXPECT_EQ(Rogue().result, "OK");
}

// Each is refused by the check and by a reload, which leaves all as it was.
TEST_F(BadInput, PolicyThatCannotBeMeantIsRefusedByItsLineAndChangesNothing) {
  postern().StartAgent();
  const uint64_t generation = postern().Status()["generation"];
  std::string ten_megabytes = "mode: enforce\nrules:\n";
  while (ten_megabytes.size() < 10 << 20) {
    absl::StrAppend(&ten_megabytes, "  - {name: r", ten_megabytes.size(), ", action: deny}\n");
  }
  std::string bomb = "rules:\n  - &a {name: a, action: deny}\n";
  for (char c = 'b'; c < 'z'; ++c) {
    const char before = static_cast<char>(c - 1);
    absl::StrAppend(&bomb, "  - &", std::string(1, c), " [*", std::string(1, before), ", *",
                    std::string(1, before), "]\n");
  }
  const struct {
    std::string text;
    std::string place;  // behind the file's name
    std::string word;
  } kBad[] = {
      {ten_megabytes, ": ", "1048576 bytes"},
      {bomb, ":2: ", "anchor"},
      {"a: &a [*a]\n", ":1: ", "anchor"},
      {"rules: [{name: r, user: 33, limit: 0/h, action: allow}]\n", ":1: ", "a limit of 0"},
      {"rules:\n  - {name: wide, user: 33, action: deny}\n"
       "  - {name: narrow, user: 33, port: 25, action: allow}\n",
       ":3: ", "can never match"},
      {"rules:\n  - {name: r, user: \"\xff\xfe\", action: deny}\n", ":2: ", "UTF-8"},
      {"rules:\n  - {name: r, destination: [10.0.0.0/8, 192.0.2.1/24], action: deny}\n",
       ":2: ", "192.0.2.0/24"},
      {"rules:\n  - name: r\n    user: no-such-user\n    action: deny\n", ":3: ", "no-such-user"},
  };
  for (const auto& bad : kBad) {
    WriteFile(postern().config_file(), bad.text);
    const std::string fault = postern().config_file() + bad.place;
    const support::Finished run = postern().RunAgent({"--check-config", postern().config_file()},
                                                     // Memory and time that a small host has.
                                                     {"prlimit", "--as=1000000000", "--cpu=5"});
    EXPECT_EQ(run.exit_code, 2) << bad.word;
    EXPECT_TRUE(absl::StrContains(run.output, fault)) << run.output;
    EXPECT_TRUE(absl::StrContains(run.output, bad.word)) << run.output;
    postern().agent().Signal(SIGHUP);
    EXPECT_TRUE(support::Eventually([&] {
      return absl::StrContains(postern().Status()["problems"].dump(), bad.word);
    })) << postern().Status();
    EXPECT_EQ(postern().Status()["generation"], generation);
    EXPECT_EQ(Rogue().result, "EPERM");
  }
  // For --release, which reads where the pins are.
  postern().Configure(config_);
}

TEST_F(BadInput, BinaryOnAFileSystemThatIsGoneIsRefusedAndTheRuleStays) {
  const std::string folder = root() + "/mounted";
  const std::string binary = folder + "/mailer";
  // Below a folder of root's, so that it is trusted.
  ASSERT_TRUE(fs::create_directory(folder));
  ASSERT_EQ(mount("none", folder.c_str(), "tmpfs", 0, "mode=755"), 0);
  fs::copy_file("/bin/true", binary);
  config_.rules += "  - name: shop\n    exe: " + binary + "\n    action: allow\n";
  postern().Configure(config_);
  postern().StartAgent();
  const uint64_t generation = postern().Status()["generation"];
  ASSERT_EQ(umount2(folder.c_str(), MNT_DETACH), 0);
  postern().agent().Signal(SIGHUP);
  EXPECT_TRUE(support::Eventually([&] {
    return absl::StrContains(postern().Status()["problems"].dump(), binary);
  })) << postern().Status();
  EXPECT_EQ(postern().Status()["generation"], generation);
  EXPECT_EQ(Rogue().result, "EPERM");
}

TEST_F(BadInput, CheckConfigNeedsNoRoot) {
  const support::Finished run =
      postern().RunAgent({"--check-config", postern().config_file()},
                         {"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"});
  EXPECT_EQ(run.exit_code, 0) << run.error;
}

TEST_F(BadInput, ConfigurationThatIsNotThereIsRefused) {
  const support::Finished run = postern().RunAgent({"--config", root() + "/none.yaml"});
  EXPECT_EQ(run.exit_code, 2) << run.error;
  EXPECT_TRUE(absl::StrContains(run.error, root() + "/none.yaml")) << run.error;
}

TEST_F(BadInput, ConfigurationRefusedAtStartLeavesTheLastGoodInForce) {
  ASSERT_NO_FATAL_FAILURE(StartPostern("enforce"));
  StartPostfix();
  EXPECT_EQ(postern().StopAgent(), 0);
  // As at boot: nothing is pinned.
  EXPECT_EQ(postern().Release().exit_code, 0);
  AgentConfig config = config_;
  config.collector = true;
  config.rules += "  - name: shop\n    user: no-such-user\n    action: allow\n";
  postern().Configure(config);
  ASSERT_NO_FATAL_FAILURE(postern().StartAgent());
  EXPECT_EQ(Rogue().result, "EPERM");
  const Answer status = postern().Ask({"status"});
  EXPECT_EQ(status.exit_code, 3);
  ASSERT_FALSE(status.lines.empty());
  EXPECT_TRUE(absl::StrContains(status.lines[0]["problems"].dump(), "no-such-user"))
      << status.lines[0];
}

TEST_F(BadInput, SpoolThatIsGarbageIsSetAsideAndSaid) {
  ASSERT_NO_FATAL_FAILURE(StartPostern("enforce"));
  postern().AwaitOne(Rogue().pid);
  EXPECT_EQ(postern().StopAgent(), 0);
  size_t spoiled = 0;
  for (const auto& entry : fs::recursive_directory_iterator(postern().state_dir())) {
    if (!entry.is_regular_file()) continue;
    if (absl::StartsWith(ReadFile(entry.path()), "SQLite format 3")) {
      WriteFile(entry.path(), std::string(8192, 'x'), 0600);
      ++spoiled;
    }
  }
  ASSERT_GE(spoiled, 1u) << "no spool in " << postern().state_dir();
  const Attempt between = Rogue();
  EXPECT_EQ(between.result, "EPERM");

  ASSERT_NO_FATAL_FAILURE(postern().StartAgent());
  const Attempt after = Rogue();
  EXPECT_EQ(after.result, "EPERM");
  postern().AwaitOne(between.pid);
  postern().AwaitOne(after.pid);
  EXPECT_EQ(postern().Ask({"status"}).exit_code, 3) << "a lost spool is not said";
  const Answer answer = postern().QueryRecord();
  EXPECT_EQ(answer.exit_code, 3);
  EXPECT_EQ(answer.Completeness().value("complete", true), false) << answer.Completeness();
}

TEST_F(BadInput, CollectorWithAConfigurationThatIsWrongIsRefused) {
  const std::string collector =
      fs::path(postern().posternd()).replace_filename("postern-collector");
  WriteFile(root() + "/collector.yaml", "stor: sqlite:/tmp/x.db\n");
  auto refused = Start({collector, "--config", root() + "/collector.yaml"});
  EXPECT_EQ(refused->Wait().value_or(-1), 2);
  EXPECT_TRUE(absl::StrContains(refused->Error(), ":1:")) << refused->Error();
  EXPECT_TRUE(absl::StrContains(refused->Error(), "'store'")) << refused->Error();
}

// As a script does whose variable is empty: it must not become a collector.
TEST_F(BadInput, CollectorsOptionThatNamesNoFileIsRefused) {
  const std::string collector =
      fs::path(postern().posternd()).replace_filename("postern-collector");
  const std::string config = root() + "/collector.yaml";
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"--config", config, "--backup", ""},
        std::vector<std::string>{"--config", config, "--backup="},
        std::vector<std::string>{"--config", ""}, std::vector<std::string>{"--check-config", ""}}) {
    std::vector<std::string> command = {collector};
    command.insert(command.end(), words.begin(), words.end());
    auto refused = Start(command);
    EXPECT_EQ(refused->Wait().value_or(-1), 2) << refused->Error();
  }
}

TEST_F(BadInput, CommandLineWithoutPeersSaysWhatToDo) {
  const Answer status = postern().Ask({"status"});
  EXPECT_EQ(status.exit_code, 1);
  EXPECT_TRUE(absl::StrContains(status.error, postern().run_dir())) << status.error;
  EXPECT_EQ(postern().Query().exit_code, 1);
  EXPECT_EQ(postern().Ask({"frobnicate"}).exit_code, 2);
}

}  // namespace
}  // namespace postern::lab
