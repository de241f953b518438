// SPDX-License-Identifier: Apache-2.0
// What people get who mistype, ask for help, or find nobody at home.
#include <sys/fsuid.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "cli/text.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/cli/fixture.h"

namespace postern::cli {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

using UsageTest = CliTest;

TEST_F(UsageTest, EveryHelpShowsAnExampleAndFitsEightyColumns) {
  const std::vector<std::vector<std::string>> commands = {{},
                                                          {"status"},
                                                          {"tail"},
                                                          {"mode"},
                                                          {"policy"},
                                                          {"policy", "test"},
                                                          {"policy", "show"},
                                                          {"policy", "reload"},
                                                          {"policy", "would"},
                                                          {"policy", "learn"},
                                                          {"query"},
                                                          {"evidence"},
                                                          {"hosts"}};
  for (std::vector<std::string> command : commands) {
    command.push_back("--help");
    const Result result = Postern(command);
    EXPECT_EQ(result.code, 0);
    EXPECT_EQ(result.err, "");
    command.pop_back();
    EXPECT_THAT(result.out, HasSubstr("Example"));
    EXPECT_THAT(result.out, HasSubstr("  postern " + absl::StrJoin(command, " ")));
    for (const absl::string_view line : absl::StrSplit(result.out, '\n')) {
      EXPECT_LE(DisplayWidth(line), 80u) << line;
    }
  }
}

TEST_F(UsageTest, TheVersionIsToldOnRequest) {
  const Result result = Postern({"--version"});
  EXPECT_EQ(result.code, 0);
  EXPECT_EQ(result.out, "postern " POSTERN_VERSION "\n");
}

struct Mistake {
  std::vector<std::string> arguments;
  std::string said;
};

TEST_F(UsageTest, MistakesAreOneLineThatNamesWhatIsAccepted) {
  const std::vector<Mistake> mistakes = {
      {{}, "which command? there is status, tail, mode, policy, query, evidence, hosts"},
      {{"qurey"}, "there is no command \"qurey\"; there is status, tail, mode"},
      {{"policy"},
       "which command? there is test, show, reload, would, learn; see postern policy --help"},
      {{"policy", "tset"},
       "there is no command \"tset\"; there is test, show, reload, would, learn"},
      {{"status", "--jsno"}, "there is no option --jsno; see postern status --help"},
      {{"status", "now"}, "nothing is to be done with \"now\""},
      {{"mode"}, "switch to which mode, monitor or enforce? postern status shows the one in force"},
      {{"mode", "off"}, "\"off\" is not a mode; it is monitor or enforce"},
      {{"policy", "test", "--user", "u"}, "--exe is required"},
      {{"query", "--exe", "*bash"}, "--exe: \"*bash\" has a * that is not at its end"},
      {{"query", "--script", "/a*b"}, "--script: \"/a*b\" has a * that is not at its end"},
      {{"policy", "test", "--user", "u", "--exe", "php", "--to", "192.0.2.1:25"},
       "--exe: \"php\" is not a whole path"},
      {{"policy", "test", "--user", "u", "--exe", "/p", "--to", "192.0.2.1"},
       "--to: \"192.0.2.1\" names no port; write it like 192.0.2.1:25"},
      {{"policy", "test", "--user", "u", "--exe", "/p", "--to", "2001:db8::1"},
       "--to: \"2001:db8::1\" names no port; write it like [2001:db8::1]:25"},
      {{"policy", "test", "--user", "u", "--exe", "/p", "--to", "[2001:db8::1]"},
       "--to: \"[2001:db8::1]\" names no port; write it like [2001:db8::1]:25"},
      {{"policy", "test", "--user", "u", "--exe", "/p", "--to", "mail.example.net:25"},
       "is not ADDRESS:PORT; write it like 192.0.2.25:25 or [2001:db8::25]:25"},
      {{"policy", "test", "--user", "u", "--exe", "/p", "--to", "2001:db8::1:25"},
       "--to: \"2001:db8::1:25\" names no port"},
      {{"policy", "test", "--user", "u", "--exe", "/p", "--to", "[192.0.2.1]:25"},
       "is not ADDRESS:PORT"},
      {{"policy", "test", "--user", "u", "--exe", "/p", "--to", "192.0.2.1:65536"},
       "is not ADDRESS:PORT"},
      {{"query", "--since", "yesterday"}, "--since: \"yesterday\" is not a time; write it like"},
      {{"query", "--since", ""}, "--since: \"\" is empty"},
      {{"query", "--until", ""}, "--until: \"\" is empty"},
      {{"query", "--at", ""}, "--at: \"\" is empty"},
      {{"query", "--at", "now", "--window", ""}, "--window: \"\" is empty"},
      {{"query", "--until", "2026-02-30"}, "--until: \"2026-02-30\" is not a time"},
      {{"query", "--at", "2026-03-01", "--window", "15"},
       "--window: \"15\" is not a duration; write it like 15m"},
      {{"query", "--window", "15m"}, "--window requires --at"},
      {{"query", "--at", "now", "--since", "-2h"}, "--since excludes --at"},
      {{"query", "--since", "-2h", "--until", "-3h"}, "--since -2h is not before --until -3h"},
      {{"query", "--since", "2026-03-01", "--until", "2026-03-01"},
       "is not before --until 2026-03-01: no time lies between them; --at asks for the time"},
      {{"query", "--host", "web\xff"},
       "--host: \"web\\xff\" has bytes that are not UTF-8; write them as answers show them"},
      {{"query", "--script", ""}, "--script: \"\" is empty; give it a value or leave it out"},
      {{"query", "--group-by", ","}, "--group-by: a field is missing; there are host"},
      {{"query", "--group-by", "user,,exe"}, "--group-by: a field is missing"},
      {{"evidence", "--host", "", "--at", "now"}, "--host: \"\" is empty"},
      {{"evidence", "--host", "\xff", "--at", "now"}, "--host: \"\\xff\" has bytes that are not"},
      {{"policy", "test", "--user", "\xff", "--exe", "/p", "--to", "192.0.2.1:25"},
       "--user: \"\\xff\" has bytes that are not UTF-8"},
      {{"query", "--verdict", "blocked"},
       "--verdict: \"blocked\" is not one of allowed, denied, would_deny, redirected, "
       "would_redirect, over_limit"},
      {{"query", "--group-by", "user,program"},
       "--group-by: \"program\" is not one of host, user, uid, exe"},
      {{"query", "--group-by", "usr"}, "unit, container, comm; the nearest is user"},
      {{"query", "--kind", "raw"}, "--kind: \"raw\" is not one of connect, policy, raw_socket"},
      {{"query", "--verdict", "would-deny"}, "over_limit; the nearest is would_deny"},
      {{"query", "--limit", "-1"}, "--limit: \"-1\" is not a number of rows; 0 means all"},
      {{"query", "--to", "[192.0.2.1]"}, "is not an address or network"},
      {{"query", "--to", "[2001:db8::1]:25"}, "names a port too; ask for that by --port 25"},
      {{"query", "--to", "192.0.2.1:25"}, "names a port too; ask for that by --port 25"},
      {{"query", "--group-by", "user,user"}, "--group-by: \"user\" is named twice"},
      {{"query", "--to", "mail.example.net"}, "is not an address or network"},
      {{"query", "--to", "192.0.2.0/33"}, "is not an address or network"},
      {{"query", "--to", "192.0.2.0/"}, "is not an address or network"},
      {{"query", "--port", "smtp"}, "--port: \"smtp\" is not a number from 1 to 65535"},
      {{"query", "--uid", "-1"}, "--uid: \"-1\" is not a number"},
      {{"query", "--uid", "4294967296"}, "is not a number from 0 to 4294967295"},
      {{"query", "--limit", "many"}, "--limit: \"many\" is not a number of rows"},
      {{"hosts", "--collector", "collector.example.net:7425"}, "it wants --ca, --cert and --key"},
      {{"hosts", "--collector", "[2001:db8::1]:7425", "--ca", "a", "--cert", "b"},
       "it wants --ca, --cert and --key"},
      {{"pki"}, "which command? there is init, token, operator, revoke; see postern pki --help"},
      {{"pki", "token"}, "host is required"},
      {{"pki", "init", "--name", "a b"}, "'a b' is no name of a host"},
      {{"hosts", "--collector", "somewhere"}, "--collector somewhere is not an address"},
      {{"status", "--agent", "localhost:25"}, "--agent localhost:25 is not an address"},
      {{"status", "--agent", "unix:"}, "is not an address"},
      {{"status", "--agent", "unix:/" + std::string(200, 'x')}, "too long for a socket"},
  };
  for (const Mistake& mistake : mistakes) {
    const Result result = Postern(mistake.arguments);
    const std::string command = absl::StrJoin(mistake.arguments, " ");
    EXPECT_EQ(result.code, 2) << command;
    EXPECT_EQ(result.out, "") << command;
    EXPECT_THAT(result.err, StartsWith("postern: ")) << command;
    EXPECT_THAT(result.err, HasSubstr(mistake.said)) << command;
    EXPECT_EQ(result.err.find('\n'), result.err.size() - 1) << command;
  }
}

TEST_F(UsageTest, AMissingSocketIsNamedWithWhatToCheck) {
  const Result agent = Postern({"status", "--agent", Socket("none.sock")});
  EXPECT_EQ(agent.code, 1);
  EXPECT_EQ(agent.err, "postern: cannot reach the agent at " + Socket("none.sock") +
                           ": No such file or directory; is posternd running, and is this the "
                           "socket in its run_dir?\n");
  const Result collector = Postern({"hosts", "--collector", Socket("none.sock")});
  EXPECT_EQ(collector.code, 1);
  EXPECT_THAT(collector.err,
              EndsWith("is postern-collector running, and is this the socket in its run_dir?\n"));
  EXPECT_THAT(Postern({"tail", "--agent", Socket("none.sock")}).err, HasSubstr("No such file"));
}

// Runs `ask` as a user who may open nothing.
void AsNobody(const std::function<void()>& ask) {
  ASSERT_EQ(setfsuid(65534), 0);
  ask();
  setfsuid(0);
}

TEST_F(UsageTest, WithoutPermissionItIsSaidWhoHasIt) {
  if (geteuid() != 0) GTEST_SKIP() << "root alone can ask as somebody else";
  std::filesystem::create_directory(Path("closed"));
  std::filesystem::permissions(Path("closed"), std::filesystem::perms::owner_all);
  Result status, mode, query;
  AsNobody([&] {
    status = Postern({"status", "--agent", Socket("closed/read.sock")});
    mode = Postern({"mode", "enforce", "--agent", Socket("closed/admin.sock")});
    query = Postern({"query", "--collector", Socket("closed/query.sock")});
  });
  EXPECT_EQ(status.code, 1);
  EXPECT_THAT(status.err, EndsWith("closed/read.sock: Permission denied; run it as root or as a "
                                   "member of group postern\n"));
  EXPECT_THAT(mode.err, EndsWith("closed/admin.sock: Permission denied; run it as root\n"));
  EXPECT_THAT(query.err, EndsWith("as a member of group postern\n"));
}

TEST_F(UsageTest, ASocketThatNobodyListensOnIsNamed) {
  const UniqueFd fd(socket(AF_UNIX, SOCK_STREAM, 0));
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  Path("dead.sock").copy(address.sun_path, sizeof(address.sun_path) - 1);
  ASSERT_EQ(bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  const Result result = Postern({"query", "--collector", Socket("dead.sock")});
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.err, HasSubstr("Connection refused; is postern-collector running"));
}

// A daemon that is stopped (SIGSTOP): its socket takes connections, and nobody
// greets; and once so many wait, connect(2) itself would wait.
TEST_F(UsageTest, WhoIsStoppedIsNotWaitedForForEver) {
  std::vector<UniqueFd> held;
  for (const auto& [name, backlog] : {std::pair("stopped.sock", 16), std::pair("full.sock", 0)}) {
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    Path(name).copy(address.sun_path, sizeof(address.sun_path) - 1);
    held.emplace_back(socket(AF_UNIX, SOCK_STREAM, 0));
    ASSERT_EQ(bind(held.back().get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    ASSERT_EQ(listen(held.back().get(), backlog), 0);
    if (backlog > 0) continue;
    held.emplace_back(socket(AF_UNIX, SOCK_STREAM, 0));
    ASSERT_EQ(connect(held.back().get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)),
              0);
  }
  const std::vector<std::vector<std::string>> commands = {{"status"},           {"mode", "monitor"},
                                                          {"policy", "reload"}, {"policy", "show"},
                                                          {"policy", "learn"},  {"tail"}};
  std::vector<std::pair<std::string, Result>> results;
  for (const char* name : {"stopped.sock", "full.sock"}) {
    for (size_t i = 0; i < commands.size(); ++i) results.emplace_back(name, Result());
  }
  std::vector<std::thread> askers;
  for (size_t i = 0; i < results.size(); ++i) {
    askers.emplace_back([&, i] {
      std::vector<std::string> arguments = commands[i % commands.size()];
      arguments.insert(arguments.end(), {"--agent", Socket(results[i].first)});
      results[i].second = Postern(arguments);
    });
  }
  for (std::thread& asker : askers) asker.join();
  for (const auto& [name, result] : results) {
    EXPECT_EQ(result.code, 1);
    EXPECT_EQ(result.err, "postern: no answer from the agent at " + Socket(name) +
                              " in time; is posternd overloaded or stopped? Look at its log, and "
                              "try again\n");
  }
}

TEST_F(UsageTest, TheCollectorComesFromTheEnvironmentUnlessNamed) {
  setenv("POSTERN_COLLECTOR", Socket("from-environment").c_str(), /*overwrite=*/1);
  EXPECT_THAT(Postern({"hosts"}).err, HasSubstr("from-environment"));
  EXPECT_THAT(Postern({"hosts", "--collector", Socket("named")}).err, HasSubstr("/named:"));
  unsetenv("POSTERN_COLLECTOR");
  EXPECT_THAT(Postern({"hosts"}).err, HasSubstr("unix:/run/postern-collector/query.sock"));
}

}  // namespace
}  // namespace postern::cli
