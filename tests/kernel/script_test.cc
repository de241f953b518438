// SPDX-License-Identifier: Apache-2.0
// Which script a process runs, as the kernel reads it at exec.
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <random>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "agent/enrich/script.h"
#include "tests/kernel/kernel_test.h"

namespace postern::testing {
namespace {

class ScriptTest : public KernelTest {
 protected:
  ScriptTest() : KernelTest(SensorOf::kSuite) {}

  void SetUp() override {
    KernelTest::SetUp();
    script_ = folder_ + "/app.pl";
    allow_ = AllowAll();
    allow_.scripts = {{.path = script_}};
  }

  // The attack program `interpreter` under another name.
  std::string Interpreter(const std::string& name) {
    const std::string copy = folder_ + "/" + name;
    std::filesystem::copy_file(Attack("interpreter"), copy,
                               std::filesystem::copy_options::skip_existing);
    return copy;
  }

  Report Run(const std::string& program, const std::vector<std::string>& argv,
             const std::string& in = "") {
    std::vector<std::string> line = {Attack("interpreter"),
                                     "--run",
                                     kInternet4,
                                     absl::StrCat(kWatchedPort),
                                     in.empty() ? folder_ : in,
                                     absl::StrCat(kWwwData),
                                     program};
    line.insert(line.end(), argv.begin(), argv.end());
    const std::vector<Report> reports = RunToEnd(std::move(line));
    return reports.empty() ? Report{{"result", "nothing"}} : reports.back();
  }

  std::string ResultOfPerl(std::vector<std::string> args, const std::string& in = "") {
    args.insert(args.begin(), "perl");
    return Run(Interpreter("perl"), args, in).at("result");
  }

  // A file that begins with "#!INTERPRETER".
  std::string File(const std::string& name, const std::string& interpreter) {
    const std::string path = folder_ + "/" + name;
    std::ofstream(path) << "#!" << interpreter << "\n";
    EXPECT_EQ(chmod(path.c_str(), 0755), 0);
    return path;
  }

  std::string script_;
  policy::Rule allow_;
};

TEST_F(ScriptTest, InterpretersScriptIsFoundInItsCommandLine) {
  Enforce({allow_});
  EXPECT_EQ(ResultOfPerl({script_}), "OK");
  EXPECT_EQ(ResultOfPerl({"-w", "-I", "/lib", script_, "-e", "x"}), "OK");
  EXPECT_EQ(ResultOfPerl({"--", script_}), "OK");
  EXPECT_EQ(ResultOfPerl({folder_ + "/other.pl", script_}), "EPERM");
  EXPECT_EQ(ResultOfPerl({"-e", "1", script_}), "EPERM");
  EXPECT_EQ(ResultOfPerl({"-", script_}), "EPERM");
  EXPECT_EQ(ResultOfPerl({}), "EPERM");
  EXPECT_EQ(Run(Interpreter("perl5.36.0"), {"perl", script_}).at("result"), "OK");
  EXPECT_EQ(Run(Interpreter("lua-5.4"), {"lua", "-l", "x", script_}).at("result"), "OK");
  // What it says of itself does not make it one.
  EXPECT_EQ(Run(Interpreter("perl5x"), {"perl", script_}).at("result"), "EPERM");
  EXPECT_EQ(Run(Interpreter("mailer"), {"perl", script_}).at("result"), "EPERM");
}

TEST_F(ScriptTest, RelativePathsAreThoseOfTheWorkingFolder) {
  std::filesystem::create_directory(folder_ + "/below");
  Enforce({allow_});
  EXPECT_EQ(ResultOfPerl({"app.pl"}), "OK");
  EXPECT_EQ(ResultOfPerl({"./app.pl"}), "OK");
  EXPECT_EQ(ResultOfPerl({"././app.pl"}), "OK");
  EXPECT_EQ(ResultOfPerl({"app.pl"}, folder_ + "/below"), "EPERM");
  EXPECT_EQ(ResultOfPerl({"app.pl"}, "/"), "EPERM");
  EXPECT_EQ(ResultOfPerl({absl::StrCat(script_.substr(1))}, "/"), "OK");
  EXPECT_EQ(ResultOfPerl({absl::StrCat(".//", script_.substr(1))}, "/"), "EPERM");
  // Across mounts: of a tmpfs on a devtmpfs.
  allow_.scripts = {{.path = "/dev/shm/app.pl"}};
  Enforce({allow_});
  EXPECT_EQ(ResultOfPerl({"app.pl"}, "/dev/shm"), "OK");
  const v1::Event event = ReadEventsUntil([](const Events& all) { return all.size() == 8; }).back();
  EXPECT_EQ(event.script(), "/dev/shm/app.pl");
}

TEST_F(ScriptTest, PathThatIsNotPlainMatchesNoRule) {
  Enforce({allow_});
  for (const char* way : {"/./app.pl", "//app.pl", "/below/../app.pl", "/app.pl/"}) {
    EXPECT_EQ(ResultOfPerl({folder_ + way}), "EPERM") << way;
  }
  EXPECT_EQ(ResultOfPerl({"../app.pl"}, folder_ + "/"), "EPERM");
  const std::string dots = folder_ + "/..app..pl...";
  allow_.scripts = {{.path = dots}};
  Enforce({allow_});
  EXPECT_EQ(ResultOfPerl({dots}), "OK");
}

TEST_F(ScriptTest, PathUpTo255BytesIsKnownAndNoLongerOne) {
  const std::string longest = absl::StrCat("/", std::string(126, 'a'), "/", std::string(127, 'b'));
  ASSERT_EQ(longest.size(), 255u);
  allow_.scripts = {{.path = longest}, {.path = longest + "c"}};
  Enforce({allow_});
  EXPECT_EQ(ResultOfPerl({longest}), "OK");
  EXPECT_EQ(ResultOfPerl({longest + "c"}), "EPERM");
  EXPECT_EQ(ResultOfPerl({longest.substr(1)}, "/"), "OK");
  EXPECT_EQ(ResultOfPerl({longest.substr(1) + "c"}, "/"), "EPERM");
}

TEST_F(ScriptTest, FileThatNamesItsInterpreterIsTheScript) {
  const std::string interpreter = Interpreter("anything");
  File("app.pl", interpreter);
  File("other.pl", interpreter);
  Enforce({allow_});
  EXPECT_EQ(Run(script_, {"x"}).at("result"), "OK");
  EXPECT_EQ(Run("app.pl", {"x"}).at("result"), "OK");
  EXPECT_EQ(Run("./app.pl", {"x"}).at("result"), "OK");
  // Its own first argument is not what runs.
  EXPECT_EQ(Run("./other.pl", {script_, script_}).at("result"), "EPERM");
  for (const v1::Event& event : ReadEventsUntil([](const Events& e) { return e.size() == 4; })) {
    EXPECT_THAT(event.script(), ::testing::AnyOf(script_, folder_ + "/other.pl"));
  }
}

TEST_F(ScriptTest, ExcludedScriptIsNotAllowedNorWhatMayBeIt) {
  allow_.excluded.scripts = allow_.scripts;
  allow_.scripts.clear();
  Enforce({allow_});
  EXPECT_EQ(ResultOfPerl({script_}), "EPERM");
  EXPECT_EQ(ResultOfPerl({folder_ + "/./app.pl"}), "EPERM");
  EXPECT_EQ(ResultOfPerl({folder_ + "/other.pl"}), "OK");
  EXPECT_EQ(ResultOfPerl({"-e", "1"}), "OK");
  EXPECT_EQ(Run(Interpreter("mailer"), {"mailer", script_}).at("result"), "OK");
  // A deny rule spares only what is surely excluded.
  policy::Rule deny = allow_;
  deny.name = "others";
  deny.action = POSTERN_ACTION_DENY;
  Enforce({deny, AllowAll()});
  EXPECT_EQ(ResultOfPerl({script_}), "OK");
  EXPECT_EQ(ResultOfPerl({folder_ + "/./app.pl"}), "EPERM");
  EXPECT_EQ(ResultOfPerl({folder_ + "/other.pl"}), "EPERM");
}

TEST_F(ScriptTest, ScriptIsKnownOnlyWhereItsExecWasSeen) {
  UseOwnSensor();
  // The attack program `connect` as perl, whose first argument is the address.
  const std::string perl = folder_ + "/perl";
  std::filesystem::copy_file(Attack("connect"), perl);
  std::vector<std::string> line = {perl, "--uid=33", kInternet4, absl::StrCat(kWatchedPort)};
  allow_.scripts = {{.path = std::filesystem::current_path() / kInternet4}};
  line.insert(line.begin() + 1, "--wait");
  Command early(line);
  early.ReadReport();
  Enforce({allow_});
  early.WriteLine("");
  EXPECT_EQ(early.Finish().back().at("result"), "EPERM");
  Command late(line);
  late.ReadReport();
  late.WriteLine("");
  EXPECT_EQ(late.Finish().back().at("result"), "OK");
}

TEST_F(ScriptTest, KernelsWithoutLoopsKnowNoScript) {
  UseOwnSensor();
  options_.without_newer_helpers = true;
  File("app.pl", Interpreter("anything"));
  Enforce({allow_});
  EXPECT_EQ(Run(script_, {"x"}).at("result"), "EPERM");
  EXPECT_EQ(ResultOfPerl({script_}), "EPERM");
  // The record says as far as it is known.
  EXPECT_EQ(ReadEventsUntil([](const Events& e) { return !e.empty(); }).front().script(), script_);
}

// Command lines of pieces that mean something to some interpreter.
TEST_F(ScriptTest, KernelAndAgentReadCommandLinesAlike) {
  const std::vector<std::string> names = {"php",  "php-cgi8.2", "perl",   "python3.11", "pypy",
                                          "ruby", "bash",       "sh",     "zsh",        "node",
                                          "lua",  "tclsh8.6",   "expect", "cat"};
  const std::vector<std::string> pieces = {"-",
                                           "--",
                                           "+x",
                                           "+o",
                                           "posix",
                                           "-f",
                                           "-fa.x",
                                           "-w",
                                           "-we",
                                           "-c",
                                           "-I",
                                           "-Ix",
                                           "-d",
                                           "-da=b",
                                           "--file",
                                           "--file=b.x",
                                           "--file=",
                                           "--run",
                                           "--rcfile",
                                           "--eval",
                                           "--eval=1",
                                           "--require",
                                           "-encoding",
                                           "-e",
                                           "--process-file",
                                           "--no-such-option-at-all-in-the-world",
                                           "-m",
                                           "-o",
                                           "-x",
                                           "",
                                           "/a/c.x",
                                           "d.x",
                                           "./e.x"};
  Monitor({});
  std::mt19937 random(7);
  const auto number = [&](size_t below) {
    return std::uniform_int_distribution<size_t>(0, below - 1)(random);
  };
  std::vector<Report> reports;
  for (int i = 0; i < 300; ++i) {
    const std::string name = names[number(names.size())];
    std::vector<std::string> argv = {name};
    for (size_t left = number(5); left > 0; --left) argv.push_back(pieces[number(pieces.size())]);
    reports.push_back(Run(Interpreter(name), argv));
    // The ring holds some more than these.
    if (i % 50 == 0) ReadEvents();
  }
  size_t scripts = 0;
  std::map<std::string, v1::Event> events;
  for (const v1::Event& event :
       ReadEventsUntil([&](const Events& all) { return all.size() >= reports.size(); })) {
    events[absl::StrCat(event.pid())] = event;
  }
  for (const Report& report : reports) {
    const v1::Event& event = events[report.at("pid")];
    std::string expected = enrich::ScriptFromArgs(event);
    absl::string_view relative = expected;
    if (!expected.empty() && expected[0] != '/') {
      absl::ConsumePrefix(&relative, "./");
      expected = absl::StrCat(folder_, "/", relative);
    }
    EXPECT_EQ(event.script(), expected) << absl::StrJoin(event.args(), " ");
    scripts += !expected.empty();
  }
  // Otherwise the pieces do not meet.
  EXPECT_GT(scripts, 60u);
}

}  // namespace
}  // namespace postern::testing
