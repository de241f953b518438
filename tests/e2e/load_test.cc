// SPDX-License-Identifier: Apache-2.0
// Whatever happens to the agent, every connect is judged, and judged rightly: by
// the books of those who connect, a thousand times a second.
#include <signal.h>

#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "bpf/abi/base.h"
#include "tests/support/lab/build.h"
#include "tests/support/lab/callers.h"
#include "tests/support/lab/lab.h"

namespace postern::lab {
namespace {

// Of each caller, between two things that happen to the agent.
constexpr size_t kMeanwhile = 10;
constexpr int kReloads = 20;
// Together, as they are started below. On a machine with other work they reach less;
// far less would be no load.
constexpr double kWantedPerSecond = 1000;
constexpr double kLeastPerSecond = 250;

int Kills() { return getenv("POSTERN_FULL") != nullptr ? 50 : 10; }

class Load : public Lab {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(Lab::SetUp());
    if (IsSkipped()) return;
    mailer_ = root() + "/mailer";
    std::filesystem::copy_file(Program("caller"), mailer_);
    ASSERT_NO_FATAL_FAILURE(StartPostern("enforce", Rules(false)));
    callers_ = std::make_unique<Callers>(root() + "/books", Program("caller"));
    ASSERT_NO_FATAL_FAILURE(StartCallers());
    callers_->AwaitEach(kMeanwhile);
  }

  void TearDown() override {
    callers_.reset();
    Lab::TearDown();
  }

  // Two policies that differ, but not in what they say of the callers.
  std::string Rules(bool other) const {
    const std::string mailer =
        absl::StrCat("  - name: mailer\n    user: postfix\n    exe: ", mailer_,
                     "\n    started_as: root\n    action: allow\n");
    const std::string local = "  - name: local\n    destination: local\n    action: allow\n";
    if (!other) return mailer + local;
    return absl::StrCat("  - name: nobody\n    user: nobody\n    port: 587\n    action: allow\n",
                        local, "  - name: web\n    user: www-data\n    action: deny\n", mailer);
  }

  void StartCallers() {
    const uid_t postfix = UidOf("postfix");
    const uid_t web = UidOf("www-data");
    const std::string other = Program("caller");
    const std::string& v4 = internet().v4();
    const std::string& v6 = internet().v6();
    for (const Caller& caller : {
             Caller{"mailer over IPv4", true, postfix, 250, mailer_, true, false, v4, 25},
             Caller{"mailer over IPv6", true, postfix, 150, mailer_, true, false, v6, 587},
             Caller{"mailer, a process each", true, postfix, 50, mailer_, true, true, v4, 587},
             Caller{"www-data", false, web, 200, other, false, false, v4, 25},
             Caller{"user postfix, another binary", false, postfix, 150, other, true, false, v6,
                    25},
             Caller{"mailer started by user postfix", false, postfix, 150, mailer_, false, false,
                    v4, 25},
             Caller{"www-data, a process each", false, web, 30, other, false, true, v4, 587},
             Caller{"mailer started by user postfix, a process each", false, postfix, 20, mailer_,
                    false, true, v6, 25},
         }) {
      ASSERT_NO_FATAL_FAILURE(callers_->Start(caller));
    }
  }

  PinnedLink Hook(const std::string& name) const {
    return ReadLink(absl::StrCat(postern().pins(), "/v", POSTERN_ABI_VERSION, "/links/", name));
  }
  uint32_t Generation() { return postern().Status().value("generation", uint32_t{0}); }

  void Reload(bool other) {
    AgentConfig config;
    config.mode = "enforce";
    config.rules = Rules(other);
    postern().Configure(config);
    const uint32_t before = Generation();
    callers_->Remark("a reload");
    postern().agent().Signal(SIGHUP);
    EXPECT_TRUE(Eventually([&] { return Generation() > before; })) << postern().agent_log();
    callers_->AwaitEach(kMeanwhile);
  }

  // Stop and start as a package manager does it. The links stay, the programs change.
  void Upgrade(const std::string& posternd) {
    const PinnedLink before4 = Hook("connect4"), before6 = Hook("connect6");
    callers_->Remark("a stop");
    EXPECT_EQ(postern().StopAgent(), 0);
    callers_->AwaitEach(kMeanwhile);
    postern().UseBuild(posternd);
    callers_->Remark("a start of another build");
    ASSERT_NO_FATAL_FAILURE(postern().StartAgent());
    callers_->AwaitEach(kMeanwhile);
    const PinnedLink after4 = Hook("connect4"), after6 = Hook("connect6");
    EXPECT_NE(before4.id, 0u);
    EXPECT_EQ(after4.id, before4.id);
    EXPECT_EQ(after6.id, before6.id);
    EXPECT_NE(after4.tag, before4.tag);
    EXPECT_NE(after6.tag, before6.tag);
  }

  void Kill(const std::string& when) {
    callers_->Remark("a kill " + when);
    postern().KillAgent();
  }

  // One that has begun to take over, and has not come to its end.
  void KillWhileItStarts() {
    const uint32_t before = Hook("connect4").program;
    callers_->Remark("a start");
    postern().BeginAgent();
    const absl::Time deadline = absl::Now() + support::kPatience;
    while (Hook("connect4").program == before && absl::Now() < deadline) {
    }
    EXPECT_NE(Hook("connect4").program, before);
    Kill("while it started");
  }

  std::string mailer_;
  std::unique_ptr<Callers> callers_;
};

TEST_F(Load, ReloadsAnUpgradeAndKillsCauseNoWrongVerdict) {
  for (int i = 0; i < kReloads; ++i) Reload(/*other=*/i % 2 == 0);

  const std::string released = postern().posternd();
  const std::string other = root() + "/posternd-other";
  ASSERT_EQ(MakeOtherBuild(released, other), absl::OkStatus());
  ASSERT_NO_FATAL_FAILURE(Upgrade(other));
  ASSERT_NO_FATAL_FAILURE(Upgrade(released));

  for (int i = 0; i < Kills(); ++i) {
    Kill("while it ran");
    callers_->AwaitEach(kMeanwhile);
    if (i % 2 == 1) {
      ASSERT_NO_FATAL_FAILURE(KillWhileItStarts());
      callers_->AwaitEach(kMeanwhile);
    }
    callers_->Remark("a start");
    ASSERT_NO_FATAL_FAILURE(postern().StartAgent());
    callers_->AwaitEach(kMeanwhile);
  }
  callers_->Stop();

  callers_->ExpectNoWrongVerdict();
  const double per_second =
      static_cast<double>(callers_->Attempts()) / absl::ToDoubleSeconds(callers_->Span());
  std::cout << callers_->Attempts() << " attempts in " << callers_->Span() << ", " << per_second
            << " a second of " << kWantedPerSecond << " wanted; " << kReloads
            << " reloads, 2 upgrades, " << Kills() << " kills and " << Kills() / 2
            << " more while it started\n"
            << callers_->Describe();
  EXPECT_GE(per_second, kLeastPerSecond);
  if (callers_->ExpectOnRecord(postern()) == 0) postern().ExpectComplete();
}

}  // namespace
}  // namespace postern::lab
