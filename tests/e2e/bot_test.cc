// SPDX-License-Identifier: Apache-2.0
// Bots that hide behind a name, a double fork, or what they put into argv.
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "tests/support/lab/lab.h"

namespace postern::lab {
namespace {

using nlohmann::json;

class Bot : public Lab {};

TEST_F(Bot, PerlThatCallsItselfApacheIsNamedByItsExecAndAncestry) {
  ASSERT_NO_FATAL_FAILURE(StartPostern("enforce"));
  const std::string perl = std::filesystem::canonical("/usr/bin/perl");
  const std::string bot = Program("bot.pl");
  // A shell that stays, as a cron job's does.
  auto shell = Start({"sh", "-c", absl::StrCat("perl ", bot, " ", internet().v4(), " 25; true")},
                     {.uid = UidOf("www-data")});
  ASSERT_EQ(shell->Wait().value_or(-1), 0) << shell->Error();
  const std::vector<Attempt> attempts = ParseAttempts(shell->Output());
  ASSERT_EQ(attempts.size(), 1u) << shell->Output();
  EXPECT_EQ(attempts[0].result, "EPERM");

  const json event = postern().AwaitOne(attempts[0].pid);
  EXPECT_EQ(event.value("verdict", ""), "denied") << event;
  EXPECT_EQ(event.value("exe", ""), perl) << event;
  EXPECT_EQ(event.value("args", json()), json({"perl", bot, internet().v4(), "25"})) << event;
  EXPECT_EQ(event.value("user", ""), "www-data") << event;
  EXPECT_EQ(event.value("identity", ""), "exec") << event;
  const std::string dash = std::filesystem::canonical("/bin/sh");
  const json ancestors = event.value("ancestors", json::array());
  const bool origin = std::any_of(ancestors.begin(), ancestors.end(), [&](const json& one) {
    return one.value("pid", 0) == shell->pid() && one.value("exe", "") == dash;
  });
  EXPECT_TRUE(origin) << "the double fork washed the shell away: " << event;
}

TEST_F(Bot, HostileArgumentsArriveEscapedAndWhatFollowsArrives) {
  ASSERT_NO_FATAL_FAILURE(StartPostern("enforce"));
  const Attempt hostile =
      AttackOnce({Program("hostile_argv"), Program("connect"), internet().v4(), "25"},
                 {.uid = UidOf("www-data")});
  const Attempt next = Rogue();
  EXPECT_EQ(hostile.result, "EPERM");

  const json event = postern().AwaitOne(hostile.pid);
  const json args = event.value("args", json::array());
  ASSERT_GE(args.size(), 9u) << event;
  EXPECT_EQ(args[0], Program("connect"));
  EXPECT_EQ(args[1], "--note=\\xff\\xfe\\xc3(");
  EXPECT_EQ(args[2], "--note=one\\x0atwo\\x0dthree");
  EXPECT_EQ(args[3], "--note=\\x1b]0;owned\\x07\\x1b[31m");
  EXPECT_EQ(args[4], "--note=back\\\\slash");
  EXPECT_EQ(args[5], "--note=é");
  EXPECT_EQ(args[args.size() - 3], "--note=telling");
  EXPECT_EQ(args[args.size() - 2], internet().v4());
  EXPECT_EQ(args[args.size() - 1], "25");

  EXPECT_EQ(postern().AwaitOne(next.pid).value("verdict", ""), "denied");
  postern().ExpectComplete();
}

}  // namespace
}  // namespace postern::lab
