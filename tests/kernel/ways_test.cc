// SPDX-License-Identifier: Apache-2.0
// The matrix of ways around: each is seen to work where nothing judges it, then comes
// to what its table says (tests/kernel/ways). A line for each goes to standard output,
// of which tests/checks/ways makes and checks the table in docs/policy.md:
//   way  KERNEL  GROUP  ID  TITLE  ALLOWED  WITHOUT  WITH  RECORDED  NOTE   (tabs between)
// Words: "passes" (and where nothing judges, the listener of the test saw it), "refused:
// ERRNO", "refused" where no system call says why, "refused by the kernel: …", "ended:
// ERRNO" of a connection, "the policy is refused: …". RECORDED has each record in order,
// or "nothing".
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <map>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "agent/policy/binary_trust.h"
#include "agent/policy/host.h"
#include "agent/policy/unit_path.h"
#include "tests/kernel/cgroup_tree.h"
#include "tests/kernel/kernel_test.h"
#include "tests/kernel/raw_test.h"
#include "tests/kernel/ways/way.h"
#include "tests/support/process.h"

namespace postern::testing {
namespace {

using ways::Way;

#if defined(__aarch64__)
constexpr char kLoader[] = "/lib/ld-linux-aarch64.so.1";
#else
constexpr char kLoader[] = "/lib64/ld-linux-x86-64.so.2";
#endif

constexpr char kNotHere[] = "not here: ";  // and what

// Allowed by no policy: its denial says that enforcement is in force, and that
// whatever was recorded before it has been read.
constexpr char kMarkerUser[] = "--uid=4711";

std::string RunningKernel() {
  utsname name = {};
  uname(&name);
  const std::string release = name.release;
  return release.substr(0, release.find_first_not_of("0123456789.", release.find('.')))
      .substr(0, release.find('.', release.find('.') + 1));
}

std::string Outcome(const Report& report) {
  if (report.count("missing") != 0) return absl::StrCat(kNotHere, report.at("missing"));
  if (report.count("ended") != 0) return absl::StrCat("ended: ", report.at("ended"));
  if (report.count("result") == 0) return "no result";
  const std::string& result = report.at("result");
  if (result == "OK" || result == "EINPROGRESS") return ways::kPasses;
  if (result == "REFUSED") return "refused";
  if (report.count("by") != 0) {
    return absl::StrCat("refused by the kernel: ", result, " to ", report.at("by"));
  }
  return absl::StrCat("refused: ", result);
}

class WaysTest : public KernelTest,
                 public ::testing::WithParamInterface<std::pair<const char*, Way>> {
 protected:
  WaysTest() : KernelTest(SensorOf::kSuite) {}

  void SetUp() override {
    KernelTest::SetUp();
    way_ = GetParam().second;
  }

  // The files that a way may use, as they are before it.
  void SetStage() {
    namespace fs = std::filesystem;
    const std::string sbin = folder_ + "/sbin", home = folder_ + "/home";
    const std::string jail = folder_ + "/jail";
    for (const std::string& folder : {sbin, home, jail}) {
      fs::remove_all(folder);
      fs::create_directories(folder);
    }
    fs::create_directories(jail + sbin);
    fs::copy_file(Attack("connect_dynamic"), sbin + "/dynamic");
    for (const std::string& copy : {sbin + "/allowed", sbin + "/helper", sbin + "/users",
                                    home + "/allowed", jail + sbin + "/allowed"}) {
      fs::copy_file(Attack("connect"), copy);
    }
    fs::create_hard_link(sbin + "/allowed", sbin + "/link");
    ASSERT_EQ(chmod((sbin + "/helper").c_str(), 04755), 0);
    ASSERT_EQ(chown((sbin + "/users").c_str(), kMailer, kMailer), 0);
  }

  std::string Fill(const std::string& text) const {
    return absl::StrReplaceAll(
        text, {{"{attacks}", std::filesystem::path(Attack("connect")).parent_path().string()},
               {"{sbin}", folder_ + "/sbin"},
               {"{home}", folder_ + "/home"},
               {"{jail}", folder_ + "/jail"},
               {"{cgroup}", cgroups_.folder()},
               {"{cgroup path}", cgroups_.path()},
               {"{loader}", kLoader},
               {"{loader name}", std::filesystem::canonical(kLoader).filename().string()},
               {"{to}", kInternet4},
               {"{to6}", kInternet6},
               {"{port}", absl::StrCat(kWatchedPort)},
               {"{next port}", absl::StrCat(kWatchedPort + 2)}});
  }
  std::vector<std::string> Line(std::vector<std::string> line) const {
    for (std::string& word : line) word = Fill(word);
    return line;
  }

  // Begins one that waits for the policy; false where this kernel lacks it.
  bool Begin() {
    if (!way_.early) return true;
    BeginNow();
    return first_report_.count("missing") == 0;
  }

  void BeginNow() {
    begun_.emplace(Line(way_.line));
    first_report_ = begun_->ReadReport();
  }

  // What it holds is looked for meanwhile.
  Report RunHolding() {
    if (!way_.early) BeginNow();
    if (sensor_ != nullptr) {
      const auto looked = sensor_->LookForSockets();
      EXPECT_TRUE(looked.ok()) << looked.status();
    }
    const std::vector<Report> more = begun_->Finish();
    begun_.reset();
    return more.empty() ? first_report_ : more.back();
  }

  // With `judged`, what it cannot see itself is told to it.
  Report RunWay(bool judged) {
    if (way_.holds) return RunHolding();
    std::vector<Report> reports;
    if (way_.early) {
      begun_->WriteLine("");
      reports = begun_->Finish();
      begun_.reset();
    } else if (way_.wants_word && judged) {
      const size_t seen = ReadEvents().size();
      Command waiting(Line(way_.line));
      ReadEventsUntil([seen](const Events& events) { return events.size() > seen; });
      waiting.WriteLine("");
      reports = waiting.Finish();
    } else {
      reports = RunToEnd(Line(way_.line));
    }
    return reports.empty() ? Report() : reports.back();
  }

  std::string RunWithout() {
    const uint64_t arrived_before = host().arrived();
    std::string outcome = Begin() ? Outcome(RunWay(/*judged=*/false)) : "not begun";
    if (way_.answered) {
      EXPECT_TRUE(AnswerWatch::Get().Answered(std::chrono::seconds(20)));
    } else if (outcome == ways::kPasses && !way_.own_listener) {
      EXPECT_TRUE(support::Eventually([&] { return host().arrived() > arrived_before; }))
          << "it says that it passed, and nothing arrived";
    }
    return outcome;
  }

  // Puts the way's policy in force; what is wrong with it where it is refused.
  std::string PutInForce() {
    const ways::Policy& policy = *way_.policy;
    std::vector<policy::Rule> rules;
    if (policy.user >= 0 || *policy.unit != '\0') {
      policy::Rule rule = AllowAll();
      rule.name = "mailer";
      if (policy.user >= 0) {
        const auto id = static_cast<uint32_t>(policy.user);
        rule.users = {{.text = absl::StrCat(id), .id = id}};
      }
      if (*policy.unit != '\0') rule.units = {policy::ParseUnitPath(Fill(policy.unit)).value()};
      if (policy.started_as_root) rule.started_as = {{.text = "0", .id = 0}};
      if (*policy.exe != '\0') {
        // What the reader of a configuration does with it.
        const std::string exe = Fill(policy.exe);
        const policy::BinaryFinding finding = policy::ExamineBinary(*policy::RealHost(), exe);
        if (finding.state != policy::BinaryState::kTrusted) return finding.problem;
        rule.exes = {{.path = exe}};
      }
      rules.push_back(rule);
    }
    if (policy.denies_raw_sockets) config_.raw_sockets = policy::RawSockets::kDeny;
    if (policy.resets_earlier) config_.earlier_connections = policy::EarlierConnections::kReset;
    Enforce(rules);
    return "";
  }

  // Makes the expectation that of a kernel with BPF LSM where it runs.
  void ExpectAsThisKernel() {
    const std::vector<sensor::HookState> hooks = sensor_->Hooks();
    const bool lsm = std::any_of(hooks.begin(), hooks.end(), [](const sensor::HookState& hook) {
      return hook.name == "socket_create" && hook.attached;
    });
    if (!lsm) return;
    if (way_.with_lsm != nullptr) way_.with = way_.with_lsm;
    if (way_.recorded_with_lsm != nullptr) way_.recorded = way_.recorded_with_lsm;
  }

  void ExpectHonestPasses() {
    if (way_.policy->honest.empty()) return;
    const Report report = RunToEnd(Line(way_.policy->honest)).back();
    EXPECT_EQ(report.at("result"), "OK") << "who is allowed does not pass";
    EventOf(report);
  }

  // Of a program, as the table names it: below the stage by its place there.
  std::string ShownExe(const v1::Event& event) const {
    if (event.exe().empty())
      return absl::StrCat("no program (", event.comm().substr(0, event.comm().find('/')), ")");
    if (absl::StartsWith(event.exe(), folder_ + "/jail/")) return "jail/allowed";
    if (absl::StartsWith(event.exe(), folder_)) return event.exe().substr(folder_.size() + 1);
    return std::filesystem::path(event.exe()).filename();
  }

  std::string Shown(const v1::Event& event) const {
    std::string verdict = v1::Event::Verdict_Name(event.verdict());
    std::transform(verdict.begin(), verdict.end(), verdict.begin(), ::tolower);
    std::string identity = v1::Event::Identity_Name(event.identity());
    std::transform(identity.begin(), identity.end(), identity.begin(), ::tolower);
    std::string text = absl::StrCat(verdict, " by ", event.rule(), ": uid ", event.uid(), ", ");
    if (event.kind() != v1::Event::CONNECT) {
      std::string kind = v1::Event::Kind_Name(event.kind());
      std::transform(kind.begin(), kind.end(), kind.begin(), ::tolower);
      text = absl::StrCat(kind, " ", verdict, ": uid ", event.uid(), ", ");
    }
    if (event.euid() != event.uid()) absl::StrAppend(&text, "euid ", event.euid(), ", ");
    absl::StrAppend(&text, ShownExe(event), ", ", identity);
    if (event.exe_unlinked()) absl::StrAppend(&text, ", unlinked");
    if (absl::StartsWith(event.exe(), folder_) && !event.exe_unlinked() && !event.exe_trusted()) {
      absl::StrAppend(&text, ", untrusted");
    }
    if (event.in_container()) absl::StrAppend(&text, ", in a container");
    if (event.in_user_namespace()) absl::StrAppend(&text, ", in a user namespace");
    return text;
  }

  // What was recorded since there were `seen` events.
  std::string Recorded(size_t seen) {
    const Report marker = RunToEnd(ConnectLine({kMarkerUser})).back();
    EXPECT_EQ(marker.at("result"), "EPERM") << "nothing is enforced";
    EventOf(marker);
    Events events(ReadEvents().begin() + static_cast<ptrdiff_t>(seen), ReadEvents().end());
    std::sort(events.begin(), events.end(),
              [](const v1::Event& one, const v1::Event& other) { return one.seq() < other.seq(); });
    std::vector<std::string> texts;
    for (const v1::Event& event : events) {
      const bool repeats = event.identity() == v1::Event::IDENTITY_UNSPECIFIED;
      if (repeats || absl::StrCat(event.pid()) == marker.at("pid")) continue;
      const std::string text = Shown(event);
      // The kernel's own, which tries as often as it pleases.
      const bool again = event.exe().empty() && !texts.empty() && texts.back() == text;
      if (!again) texts.push_back(text);
    }
    return texts.empty() ? ways::kNothing : absl::StrJoin(texts, "; ");
  }

  void Print(const std::string& without, const std::string& with, const std::string& recorded) {
    std::cout << absl::StrJoin({std::string("way"), RunningKernel(), std::string(GetParam().first),
                                std::string(way_.id), std::string(way_.title),
                                std::string(way_.policy->shown), without, with, recorded,
                                std::string(way_.note)},
                               "\t")
              << std::endl;
  }

 private:
  const std::string name_ = absl::StrCat("/postern-ways-", getpid());
  const CgroupTree cgroups_ = {name_,
                               {"/nested", "/system.slice/postfix.service/own",
                                absl::StrCat("/customer", name_, "/system.slice/postfix.service")}};
  std::optional<Command> begun_;
  Report first_report_;

 protected:
  Way way_;
};

// What each came to where nothing judged it, by its id.
std::map<std::string, std::string>& Outcomes() {
  static auto& outcomes = *new std::map<std::string, std::string>;
  return outcomes;
}

// Of all of them before the first of the others: GoogleTest runs a suite's tests in
// their order here, each with every parameter.
TEST_P(WaysTest, WorksWhereNothingJudges) {
  UseOwnSensor();
  if (way_.answered) AnswerWatch::Get().AnsweredUntilNow();
  SetStage();
  const std::string outcome = RunWithout();
  // What this kernel lacks is said in the table; only what may be missing may be.
  EXPECT_EQ(outcome, absl::StartsWith(outcome, kNotHere) ? absl::StrCat(kNotHere, way_.feature)
                                                         : way_.without);
  Outcomes()[way_.id] = outcome;
}

TEST_P(WaysTest, ComesToWhatItsTableSays) {
  ASSERT_EQ(Outcomes().count(way_.id), 1u) << "run it together with WorksWhereNothingJudges";
  const std::string without = Outcomes().at(way_.id);
  if (absl::StartsWith(without, kNotHere)) {
    Print(without, "", "");
    return;
  }
  // Nor has the agent ever started.
  if (way_.early) UseOwnSensor();
  SetStage();
  ASSERT_TRUE(Begin());
  std::string with = PutInForce(), recorded = ways::kNothing;
  if (!with.empty()) {
    with = absl::StrCat("the policy is refused: ", with);
  } else {
    ExpectHonestPasses();
    const size_t seen = ReadEvents().size();
    with = Outcome(RunWay(/*judged=*/true));
    recorded = Recorded(seen);
    ExpectAsThisKernel();
    if (way_.answered) {
      EXPECT_EQ(AnswerWatch::Get().AnsweredUntilNow(), with == ways::kPasses);
    }
  }
  Print(without, with, recorded);
  EXPECT_EQ(with, way_.with);
  EXPECT_EQ(recorded, Fill(way_.recorded));
}

std::vector<std::pair<const char*, Way>> All() {
  std::vector<std::pair<const char*, Way>> all;
  const auto add = [&all](const char* group, const std::vector<Way>& some) {
    for (const Way& way : some) all.emplace_back(group, way);
  };
  add("By which call, and from where", ways::Calls());
  add("Under which name", ways::Files());
  add("Inside of whom, and with whose ids", ways::Processes());
  add("What connect() does not tell", ways::Outside());
  add("Past connect()", ways::Past());
  return all;
}

INSTANTIATE_TEST_SUITE_P(Every, WaysTest, ::testing::ValuesIn(All()),
                         [](const auto& each) { return std::string(each.param.second.id); });

}  // namespace
}  // namespace postern::testing
