// SPDX-License-Identifier: Apache-2.0
// Whom a record names, whatever the process does to look like another.
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/kernel/kernel_test.h"

namespace postern::testing {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;

class IdentityTest : public KernelTest {
 protected:
  IdentityTest() : KernelTest(SensorOf::kSuite) {}

  const std::string port_ = absl::StrCat(kWatchedPort);
};

TEST_F(IdentityTest, RecordsWhatTheProcessWasAtExec) {
  Enforce({});
  const Report report = RunToEnd(ConnectLine({"--uid=33", "--gid=33", "--note=hello"})).back();
  const v1::Event event = EventOf(report);
  EXPECT_EQ(event.exe(), Attack("connect"));
  EXPECT_EQ(event.comm(), "connect");
  EXPECT_THAT(event.args(), Contains("--note=hello"));
  EXPECT_EQ(event.uid(), kWwwData);
  EXPECT_EQ(event.gid(), kWwwData);
  EXPECT_EQ(event.started_as(), 0u);
  EXPECT_EQ(event.ppid(), static_cast<uint32_t>(getpid()));
  EXPECT_EQ(event.identity(), v1::Event::EXEC);
  EXPECT_TRUE(event.exe_trusted());
  EXPECT_EQ(absl::StrCat(event.tid()), report.at("tid"));
  ASSERT_FALSE(event.ancestors().empty());
  EXPECT_EQ(event.ancestors().rbegin()->pid(), static_cast<uint32_t>(getpid()));
  struct stat file = {};
  ASSERT_EQ(stat(Attack("connect").c_str(), &file), 0);
  EXPECT_EQ(event.exe_file().inode(), file.st_ino);
  EXPECT_EQ(event.exe_file().change_time_ns(),
            file.st_ctim.tv_sec * 1'000'000'000ull + file.st_ctim.tv_nsec);
}

TEST_F(IdentityTest, RewrittenArgvAndCommHideNothing) {
  Enforce({});
  const Report report =
      RunToEnd(ConnectLine({"--uid=33", "--title=/usr/sbin/apache2", "--who=double_fork"})).back();
  const v1::Event event = EventOf(report);
  EXPECT_EQ(event.comm(), "apache2");
  EXPECT_EQ(event.exe(), Attack("connect"));
  EXPECT_THAT(event.args(), Contains("--title=/usr/sbin/apache2"));
  ASSERT_GE(event.ancestors_size(), 3);
  EXPECT_EQ(event.ancestors().rbegin()->exe(), Attack("connect"));
}

TEST_F(IdentityTest, ThreadWhoseLeaderHasExitedIsNamed) {
  Enforce({Allow(kMailer, Attack("connect"))});
  const Report report = RunToEnd(ConnectLine({"--uid=33", "--who=thread"})).back();
  EXPECT_EQ(report.at("result"), "EPERM");
  const v1::Event event = EventOf(report);
  EXPECT_EQ(event.identity(), v1::Event::EXEC);
  EXPECT_EQ(event.exe(), Attack("connect"));
  EXPECT_EQ(absl::StrCat(event.tid()), report.at("tid"));
  EXPECT_NE(event.tid(), event.pid());
  EXPECT_EQ(RunToEnd(ConnectLine({"--uid=105", "--who=thread"})).back().at("result"), "OK");
}

TEST_F(IdentityTest, ForgedExeLinkIsDeniedAndShownAsWhatItIs) {
  const std::string allowed = folder_ + "/allowed";
  std::filesystem::copy_file(Attack("connect"), allowed);
  Enforce({Allow(kNobody, allowed)});
  for (const char* how : {"self", "child"}) {
    const std::vector<Report> reports =
        RunToEnd({Attack("forge_exe"), how, absl::StrCat(kNobody), allowed, kInternet4, port_});
    ASSERT_EQ(reports.size(), 2u) << how;
    // The forgery itself works: /proc shows it.
    EXPECT_EQ(reports[0].at("exe"), allowed) << how;
    EXPECT_EQ(reports[1].at("result"), "EPERM") << how;
    const v1::Event event = EventOf(reports[1]);
    EXPECT_EQ(event.exe(), Attack("forge_exe")) << how;
    EXPECT_EQ(event.identity(), v1::Event::EXEC) << how;
  }
}

TEST_F(IdentityTest, ProcessFromBeforeTheAgentIsSeededAndProvesNothing) {
  UseOwnSensor();
  Command early(ConnectLine({"--uid=105", "--wait"}));
  early.ReadReport();
  Enforce({Allow(kMailer, Attack("connect"))});
  early.WriteLine("");
  const Report report = early.Finish().back();
  EXPECT_EQ(report.at("result"), "EPERM");
  const v1::Event event = EventOf(report);
  EXPECT_EQ(event.identity(), v1::Event::SEEDED);
  EXPECT_EQ(event.exe(), Attack("connect"));
  EXPECT_THAT(event.args(), Contains("--wait"));
  EXPECT_EQ(event.ancestors().rbegin()->pid(), static_cast<uint32_t>(getpid()));
}

TEST_F(IdentityTest, SeededProcessWithALowerPidThanItsParentHasItsAncestry) {
  UseOwnSensor();
  Command early(ConnectLine({"--low-pid", "--uid=33", "--wait"}));
  early.ReadReport();
  const auto parent_pid = static_cast<uint32_t>(early.pid());
  Enforce({});
  early.WriteLine("");
  const v1::Event event = EventOf(early.Finish().back());
  ASSERT_LT(event.pid(), parent_pid);
  ASSERT_GE(event.ancestors_size(), 2);
  const v1::Ancestor& parent = *event.ancestors().rbegin();
  EXPECT_EQ(parent.pid(), parent_pid);
  EXPECT_EQ(parent.exe(), Attack("connect"));
  EXPECT_EQ((event.ancestors().rbegin() + 1)->pid(), static_cast<uint32_t>(getpid()));
}

TEST_F(IdentityTest, ForgedProcessFromBeforeTheAgentProvesNothing) {
  UseOwnSensor();
  const std::string allowed = folder_ + "/allowed";
  std::filesystem::copy_file(Attack("connect"), allowed);
  Command early({Attack("connect"), "--uid=65534", "--wait", kInternet4, port_});
  early.ReadReport();
  Enforce({Allow(kNobody, allowed)});
  const std::vector<Report> reports =
      RunToEnd({Attack("forge_exe"), "self", absl::StrCat(kNobody), allowed, kInternet4, port_});
  EXPECT_EQ(reports.back().at("result"), "EPERM");
  early.WriteLine("");
  EXPECT_EQ(early.Finish().back().at("result"), "EPERM");
}

TEST_F(IdentityTest, AThousandAtOnceAreEachNamedRightly) {
  Enforce({});
  constexpr int kSwarm = 1000;
  const std::vector<Report> reports = RunToEnd(
      {Attack("swarm"), absl::StrCat(kSwarm), "33", Attack("swarm_child"), kInternet4, port_});
  ASSERT_EQ(reports.size(), static_cast<size_t>(kSwarm));
  ReadEventsUntil([](const Events& events) { return events.size() >= kSwarm; });
  std::map<std::string, std::string> index_of;
  for (const v1::Event& event : ReadEvents()) {
    ASSERT_EQ(event.repeats(), 0u);
    EXPECT_EQ(event.exe(), Attack("swarm_child"));
    EXPECT_EQ(event.identity(), v1::Event::EXEC);
    for (const std::string& arg : event.args()) {
      if (absl::StartsWith(arg, "index=")) index_of[absl::StrCat(event.pid())] = arg.substr(6);
    }
  }
  EXPECT_EQ(index_of.size(), static_cast<size_t>(kSwarm));
  for (const Report& report : reports) {
    EXPECT_EQ(report.at("result"), "EPERM");
    EXPECT_EQ(index_of[report.at("pid")], report.at("index")) << "pid " << report.at("pid");
  }
}

TEST_F(IdentityTest, HostileArgvArrivesEscapedAndWhatFollowsArrives) {
  Enforce({});
  const Report report =
      RunToEnd({Attack("hostile_argv"), Attack("connect"), "--uid=33", kInternet4, port_}).back();
  const v1::Event event = EventOf(report);
  EXPECT_THAT(event.args(), Contains("--note=\\xff\\xfe\\xc3("));
  EXPECT_THAT(event.args(), Contains("--note=one\\x0atwo\\x0dthree"));
  EXPECT_THAT(event.args(), Contains("--note=\\x1b]0;owned\\x07\\x1b[31m"));
  EXPECT_THAT(event.args(), Contains("--note=back\\\\slash"));
  EXPECT_THAT(event.args(), Contains("--note=é"));
  // 100,000 bytes in between hide nothing of the end.
  EXPECT_THAT(event.args(), Contains("--note=telling"));
  EXPECT_THAT(event.args(), Contains(port_));
  EXPECT_GT(event.args_omitted_bytes(), 99'000u);
}

TEST_F(IdentityTest, ScriptIsNamedBesideItsInterpreter) {
  // The attack program reads a script's name as an option that it does not know,
  // so a copy under a name that it takes as one it ignores stands for it.
  const std::string script = folder_ + "/--note=script";
  FILE* file = fopen(script.c_str(), "w");
  ASSERT_NE(file, nullptr);
  fprintf(file, "#!%s --uid=33\n", Attack("connect").c_str());
  fclose(file);
  std::filesystem::permissions(script, std::filesystem::perms(0755));
  Enforce({});
  // Run as "--note=script" from its folder: the kernel hands on that very name.
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(folder_);
  const Report report = RunToEnd({"--note=script", kInternet4, port_}).back();
  std::filesystem::current_path(before);
  const v1::Event event = EventOf(report);
  EXPECT_EQ(event.exe(), Attack("connect"));
  EXPECT_EQ(event.script(), script);
}

TEST_F(IdentityTest, ExecDoesNotWashTheImageBeforeAway) {
  Enforce({});
  std::vector<std::string> line = {"/bin/sh", "-c", "exec \"$0\" \"$@\""};
  for (const std::string& word : ConnectLine({"--uid=33"})) line.push_back(word);
  const v1::Event event = EventOf(RunToEnd(line).back());
  ASSERT_GE(event.ancestors_size(), 2);
  EXPECT_EQ(event.ancestors().rbegin()->pid(), event.pid());
  EXPECT_NE(event.ancestors().rbegin()->exe(), event.exe());
  EXPECT_EQ(event.ancestors().rbegin()->comm(), "sh");
}

TEST_F(IdentityTest, AnExecWithinTheSecondIsAnotherProgram) {
  Enforce({});
  const std::string second = folder_ + "/second";
  std::filesystem::copy_file(Attack("connect"), second);
  RunToEnd({Attack("connect"), "--uid=33", "--then=" + second, kInternet4, port_});
  const Events& events = ReadEventsUntil([](const Events& e) { return e.size() >= 2; });
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[0].pid(), events[1].pid());
  EXPECT_EQ(events[0].exe(), Attack("connect"));
  EXPECT_EQ(events[1].exe(), second);
}

TEST_F(IdentityTest, ChainOfExecsKeepsTheOldestAndNewestAncestors) {
  Enforce({});
  // Each --who=fork is one generation; ten shells around it are ten more.
  std::string command = absl::StrCat(Attack("connect"), " --uid=33 ", kInternet4, " ", port_);
  for (int i = 0; i < 10; ++i) {
    setenv(absl::StrCat("POSTERN_STEP", i).c_str(), command.c_str(), 1);
    command = absl::StrCat("/bin/sh -c \"$POSTERN_STEP", i, "\"; true");
  }
  const v1::Event event = EventOf(RunToEnd({"/bin/sh", "-c", command}).back());
  ASSERT_EQ(event.ancestors_size(), 8);
  EXPECT_GT(event.ancestors_omitted(), 0u);
  std::set<uint32_t> pids;
  for (const v1::Ancestor& ancestor : event.ancestors()) pids.insert(ancestor.pid());
  EXPECT_EQ(pids.size(), 8u);
}

TEST_F(IdentityTest, EntriesLeaveTheTableWithTheirProcesses) {
  Enforce({AllowAll()});
  for (int i = 0; i < 5; ++i) {
    RunToEnd({Attack("swarm"), "200", "33", Attack("swarm_child"), kInternet4, port_});
  }
  EXPECT_EQ(Counter(POSTERN_COUNTER_PROCESSES_FULL), 0u);
  EXPECT_EQ(Counter(POSTERN_COUNTER_UNKNOWN_PROCESS), 0u);
  auto unproven = sensor_->UnprovenProcesses();
  ASSERT_TRUE(unproven.ok()) << unproven.status();
  for (const auto& process : *unproven) {
    EXPECT_TRUE(kill(static_cast<pid_t>(process.pid), 0) == 0 || errno == EPERM)
        << "pid " << process.pid << " is gone, and still in the table";
  }
}

}  // namespace
}  // namespace postern::testing
