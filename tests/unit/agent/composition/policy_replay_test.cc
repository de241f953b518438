// SPDX-License-Identifier: Apache-2.0
#include "agent/policy_replay.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "agent/policy/loader.h"

namespace postern::agent {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class PolicyReplayTest : public testing::Test {
 protected:
  v1::Judgement Judge(const std::string& rules, const v1::Event& sender,
                      const std::string& rest = "mode: enforce\n") {
    const auto loaded = policy::LoadConfig(
        "new.yaml", rest + (rules.empty() ? "rules: []\n" : "rules:\n" + rules), *host_);
    EXPECT_TRUE(loaded.ok()) << (loaded.ok() ? "" : loaded.Lines().front());
    if (!loaded.ok()) return {};
    const policy::IdentifyBinary identify =
        [this](const std::string& path) -> absl::StatusOr<policy::BinaryId> {
      looked_at_ += path + " ";
      if (path != "/usr/bin/env") return absl::NotFoundError(path);
      return policy::BinaryId{.device = (8 << 20) | 1, .path = {.high = 1, .low = 2}};
    };
    const auto compiled = policy::Compile(*loaded.config, identify);
    EXPECT_TRUE(compiled.ok()) << compiled.status();
    looked_at_.clear();
    return PolicyReplay(*loaded.config, *compiled, *host_, identify).Judge(sender);
  }

  // All that the kernel says of one attempt.
  static v1::Event Sender() {
    v1::Event event;
    event.set_kind(v1::Event::CONNECT);
    event.set_verdict(v1::Event::DENIED);
    event.set_rule("default");
    event.set_uid(33);
    event.set_euid(33);
    event.set_gid(33);
    event.set_egid(33);
    event.set_started_as(0);
    event.set_identity(v1::Event::EXEC);
    event.set_exe("/usr/bin/env");
    event.set_exe_trusted(true);
    event.mutable_exe_file()->set_device("8:1");
    event.set_cgroup("/system.slice/cron.service");
    event.set_destination("192.0.2.1");
    event.set_destination_local(false);
    event.set_port(25);
    return event;
  }

  std::string looked_at_;
  const std::unique_ptr<policy::Host> host_ = policy::RealHost();
  const std::string env_ =
      "  - {name: env, user: 33, exe: /usr/bin/env, started_as: root, action: allow}\n";
};

TEST_F(PolicyReplayTest, WhatIsOnRecordIsJudgedAsTheKernelWould) {
  const v1::Judgement allowed = Judge(env_, Sender());
  EXPECT_EQ(allowed.verdict(), v1::Event::ALLOWED);
  EXPECT_THAT(allowed.rules(), ElementsAre("env"));
  EXPECT_EQ(allowed.unknown(), "");
  v1::Event other = Sender();
  other.set_uid(34);
  EXPECT_THAT(Judge(env_, other).rules(), ElementsAre("default"));
  EXPECT_EQ(Judge(env_, other).verdict(), v1::Event::DENIED);
  EXPECT_EQ(Judge(env_, other, "").verdict(), v1::Event::WOULD_DENY);
}

TEST_F(PolicyReplayTest, ABinaryThatOthersCouldReplaceIsNoneOfThePolicysAndIsNotOpened) {
  v1::Event bot = Sender();
  bot.set_exe("/tmp/env");
  EXPECT_THAT(Judge(env_, bot).rules(), ElementsAre("default"));
  EXPECT_EQ(looked_at_, "");
  v1::Event writable = Sender();
  writable.set_exe_trusted(false);
  EXPECT_THAT(Judge(env_, writable).rules(), ElementsAre("default"));
  v1::Event unlinked = Sender();
  unlinked.set_exe_unlinked(true);
  EXPECT_THAT(Judge(env_, unlinked).rules(), ElementsAre("default"));
}

TEST_F(PolicyReplayTest, AFileOfThatPathInAnotherFileSystemIsAnotherBinary) {
  v1::Event elsewhere = Sender();
  elsewhere.mutable_exe_file()->set_device("0:42");
  EXPECT_THAT(Judge(env_, elsewhere).rules(), ElementsAre("default"));
}

TEST_F(PolicyReplayTest, WhoseStartWasNotSeenIsNotGuessed) {
  v1::Event seeded = Sender();
  seeded.set_identity(v1::Event::SEEDED);
  seeded.clear_started_as();
  const v1::Judgement judgement = Judge(env_, seeded);
  EXPECT_EQ(judgement.unknown(), "its start was not seen");
  EXPECT_EQ(judgement.verdict(), v1::Event::VERDICT_UNSPECIFIED);
  EXPECT_THAT(judgement.rules(), IsEmpty());
  // But where no answer would change the verdict, it is told.
  EXPECT_THAT(Judge("  - {name: web, user: 33, action: deny}\n", seeded).rules(),
              ElementsAre("web"));
  v1::Event another = seeded;
  another.set_uid(7);
  EXPECT_THAT(Judge(env_, another).rules(), ElementsAre("default"));
}

TEST_F(PolicyReplayTest, SupplementaryGroupsAreUnknownAndThePrimaryOneIsNot) {
  const std::string mail = "  - {name: mail, group: 8, action: allow}\n";
  EXPECT_EQ(Judge(mail, Sender()).unknown(), "its supplementary groups are not on record");
  v1::Event member = Sender();
  member.set_gid(8);
  EXPECT_THAT(Judge(mail, member).rules(), ElementsAre("mail"));
  // Either way allowed: by the one or the other.
  const v1::Judgement both = Judge(mail + "  - {name: all, port: 25, action: allow}\n", Sender());
  EXPECT_EQ(both.verdict(), v1::Event::ALLOWED);
  EXPECT_THAT(both.rules(), ElementsAre("mail", "all"));
  EXPECT_EQ(both.unknown(), "");
}

TEST_F(PolicyReplayTest, DestinationsThatWereNotKeptAreUnknown) {
  const std::string net = "  - {name: net, destination: 192.0.2.0/24, action: allow}\n";
  v1::Event spread = Sender();
  EXPECT_THAT(Judge(net, spread).rules(), ElementsAre("net"));
  spread.clear_destination();
  spread.clear_destination_local();
  EXPECT_EQ(Judge(net, spread).unknown(), "its destinations were not kept");
  EXPECT_THAT(Judge(env_, spread).rules(), ElementsAre("env"));
}

TEST_F(PolicyReplayTest, WhetherAnAddressWasLocalIsAskedOfTheRecord) {
  const std::string local = "  - {name: local, destination: local, action: allow}\n";
  v1::Event event = Sender();
  EXPECT_THAT(Judge(local, event).rules(), ElementsAre("default"));
  event.set_destination_local(true);
  EXPECT_THAT(Judge(local, event).rules(), ElementsAre("local"));
  // Recorded by an agent that did not write it down.
  event.clear_destination_local();
  EXPECT_THAT(Judge(local, event).unknown(), HasSubstr("was local is not on record"));
  event.set_destination("127.0.0.1");
  EXPECT_THAT(Judge(local, event).rules(), ElementsAre("local"));
}

TEST_F(PolicyReplayTest, AnUnknownUnitIsNotTakenForAnother) {
  const std::string cron = "  - {name: cron, unit: /system.slice/*, action: allow}\n";
  v1::Event event = Sender();
  EXPECT_THAT(Judge(cron, event).rules(), ElementsAre("cron"));
  event.clear_cgroup();
  EXPECT_EQ(Judge(cron, event).unknown(), "its unit is not on record");
}

TEST_F(PolicyReplayTest, APortThatIsNotWatchedIsNotJudged) {
  const v1::Judgement judgement = Judge(env_, Sender(), "ports: [587]\n");
  EXPECT_EQ(judgement.verdict(), v1::Event::VERDICT_UNSPECIFIED);
  EXPECT_THAT(judgement.rules(), IsEmpty());
  EXPECT_EQ(judgement.unknown(), "");
}

TEST_F(PolicyReplayTest, ADimensionThatIsNotReplayedIsNotGuessed) {
  policy::CompiledPolicy compiled;
  for (const uint32_t dimension : {POSTERN_DIMENSION_PORT, POSTERN_DIMENSION_UNIT}) {
    compiled.header.dimensions |= 1U << dimension;
    EXPECT_TRUE(PolicyReplay::Covers(compiled));
  }
  compiled.header.dimensions |= 1U << 31;
  EXPECT_FALSE(PolicyReplay::Covers(compiled));
}

TEST_F(PolicyReplayTest, LimitsAreNotReplayedAndThatIsSaid) {
  const std::string limited = "  - {name: web, user: 33, limit: 5/h, action: allow}\n";
  EXPECT_TRUE(Judge(limited, Sender()).within_limit());
  EXPECT_FALSE(Judge(env_, Sender()).within_limit());
  v1::Event over = Sender();
  over.set_verdict(v1::Event::OVER_LIMIT);
  EXPECT_THAT(Judge(limited, over).unknown(), HasSubstr("limit"));
  EXPECT_EQ(Judge(env_, over).unknown(), "");
}

}  // namespace
}  // namespace postern::agent
