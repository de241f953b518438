// SPDX-License-Identifier: Apache-2.0
#include "agent/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>
#include <vector>

namespace postern::agent {
namespace {

using testing::HasSubstr;

class CommandLineTest : public testing::Test {
 protected:
  std::variant<CommandLine, ExitCode> Read(std::vector<const char*> arguments) {
    arguments.insert(arguments.begin(), "posternd");
    return ReadCommandLine(static_cast<int>(arguments.size()), arguments.data(), out_, err_);
  }
  void ExpectTask(const std::vector<const char*>& arguments, CommandLine::Task task,
                  const std::string& file) {
    const auto read = Read(arguments);
    const auto* line = std::get_if<CommandLine>(&read);
    ASSERT_NE(line, nullptr) << err_.str();
    EXPECT_EQ(line->task, task);
    EXPECT_EQ(line->config_file, file);
  }
  void ExpectLeaves(const std::vector<const char*>& arguments, ExitCode code) {
    const auto read = Read(arguments);
    ASSERT_TRUE(std::holds_alternative<ExitCode>(read));
    EXPECT_EQ(std::get<ExitCode>(read), code);
  }

  std::ostringstream out_;
  std::ostringstream err_;
};

TEST_F(CommandLineTest, EachTaskIsUnderstood) {
  ExpectTask({}, CommandLine::Task::kRun, "/etc/postern/agent.yaml");
  ExpectTask({"--config", "/x"}, CommandLine::Task::kRun, "/x");
  ExpectTask({"--check-config", "/x"}, CommandLine::Task::kCheckConfig, "/x");
  ExpectTask({"--config=/x", "--release"}, CommandLine::Task::kRelease, "/x");
  ExpectTask({"--enroll", "c:7425", "--token", "T", "--ca-pin", "P"}, CommandLine::Task::kEnrol,
             "/etc/postern/agent.yaml");
}

TEST_F(CommandLineTest, WrongUsageIsRefusedLikeAWrongConfiguration) {
  for (const std::vector<const char*>& arguments :
       std::vector<std::vector<const char*>>{{"--frobnicate"},
                                             {"--config"},
                                             {"--enroll", "c:7425"},
                                             {"--enroll", "c:7425", "--token", "T"},
                                             {"--token", "T", "--ca-pin", "P"},
                                             {"start"},
                                             {"--check-config", "/x", "--release"},
                                             {"--check-config", "/x", "--config", "/y"}}) {
    err_.str("");
    ExpectLeaves(arguments, kRefused);
    EXPECT_NE(err_.str(), "");
  }
  EXPECT_EQ(out_.str(), "");
}

TEST_F(CommandLineTest, HelpShowsAnExampleOfEachTask) {
  ExpectLeaves({"--help"}, kStopped);
  for (const char* example :
       {"posternd --config /etc", "posternd --check-config /etc", "--release"}) {
    EXPECT_THAT(out_.str(), HasSubstr(example));
  }
  EXPECT_EQ(err_.str(), "");
}

TEST_F(CommandLineTest, TheVersionIsNoFault) {
  ExpectLeaves({"--version"}, kStopped);
  EXPECT_THAT(out_.str(), HasSubstr("posternd " POSTERN_VERSION));
}

}  // namespace
}  // namespace postern::agent
