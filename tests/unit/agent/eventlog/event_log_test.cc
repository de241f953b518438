// SPDX-License-Identifier: Apache-2.0
#include "agent/eventlog/event_log.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/unique_fd.h"
#include "tests/support/temporary_folder.h"

namespace postern::eventlog {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

v1::Event Denied(const std::string& exe) {
  v1::Event event;
  event.set_kind(v1::Event::CONNECT);
  event.set_verdict(v1::Event::DENIED);
  event.set_exe(exe);
  return event;
}

std::vector<std::string> Lines(const std::string& path) {
  std::ifstream file(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

TEST(EventLogTest, AFileGetsOneLineAnEventBehindWhatItHas) {
  const TemporaryFolder folder;
  std::ofstream(folder / "events") << "before\n";
  auto log = EventLog::Create(folder / "events");
  ASSERT_TRUE(log.ok()) << log.status();
  ASSERT_TRUE((*log)->Write(Denied("/a")).ok());
  ASSERT_TRUE((*log)->Write(Denied("/b")).ok());
  EXPECT_THAT(Lines(folder / "events"),
              ElementsAre("before", HasSubstr("\"exe\":\"/a\""), HasSubstr("\"exe\":\"/b\"")));
}

TEST(EventLogTest, ANewFileIsNotForEveryone) {
  const TemporaryFolder folder;
  ASSERT_TRUE(EventLog::Create(folder / "events").ok());
  struct stat file = {};
  ASSERT_EQ(stat((folder / "events").c_str(), &file), 0);
  EXPECT_EQ(file.st_mode & 0007, 0u);
}

TEST(EventLogTest, AfterARotationTheNewFileIsWritten) {
  const TemporaryFolder folder;
  auto log = EventLog::Create(folder / "events");
  ASSERT_TRUE(log.ok());
  ASSERT_TRUE((*log)->Write(Denied("/a")).ok());
  ASSERT_EQ(rename((folder / "events").c_str(), (folder / "events.1").c_str()), 0);
  ASSERT_TRUE((*log)->Reopen().ok());
  ASSERT_TRUE((*log)->Write(Denied("/b")).ok());
  EXPECT_THAT(Lines(folder / "events.1"), ElementsAre(HasSubstr("/a")));
  EXPECT_THAT(Lines(folder / "events"), ElementsAre(HasSubstr("/b")));
}

// A file may grow to so many bytes while it lives, as on a disk that fills.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : handler_(signal(SIGXFSZ, SIG_IGN)) {
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit = {bytes, before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &before_);
    signal(SIGXFSZ, handler_);
  }

 private:
  sighandler_t handler_;
  rlimit before_ = {};
};

TEST(EventLogTest, ALineThatWasCutShortDoesNotTakeTheNextOneWithIt) {
  const TemporaryFolder folder;
  auto log = EventLog::Create(folder / "events");
  ASSERT_TRUE(log.ok());
  ASSERT_TRUE((*log)->Write(Denied("/a")).ok());
  const auto whole = std::filesystem::file_size(folder / "events");
  {
    const FileSizeLimit limit(whole + 10);
    EXPECT_FALSE((*log)->Write(Denied("/cut")).ok());
    EXPECT_FALSE((*log)->Write(Denied("/lost")).ok());
  }
  ASSERT_EQ(std::filesystem::file_size(folder / "events"), whole + 10);
  ASSERT_TRUE((*log)->Write(Denied("/b")).ok());
  ASSERT_TRUE((*log)->Write(Denied("/c")).ok());
  const std::vector<std::string> lines = Lines(folder / "events");
  ASSERT_EQ(lines.size(), 4u);
  EXPECT_EQ(lines[1].size(), 10u);
  EXPECT_TRUE(nlohmann::json::accept(lines[0]));
  EXPECT_THAT(lines[2], HasSubstr("\"exe\":\"/b\""));
  EXPECT_TRUE(nlohmann::json::accept(lines[2]));
  EXPECT_TRUE(nlohmann::json::accept(lines[3]));
}

TEST(EventLogTest, AFileThatCannotBeOpenedSaysWhich) {
  const auto log = EventLog::Create("/nonexistent/events");
  EXPECT_THAT(std::string(log.status().message()), HasSubstr("/nonexistent/events"));
}

TEST(EventLogTest, WhatIsNoRegularFileIsRefusedWithoutWaiting) {
  const TemporaryFolder folder;
  const std::string pipe = folder / "pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  const std::string link = folder / "link";
  ASSERT_EQ(symlink((folder / "events").c_str(), link.c_str()), 0);
  for (const std::string& path : {pipe, link, std::string("/dev/null")}) {
    const auto log = EventLog::Create(path);
    EXPECT_THAT(std::string(log.status().message()), HasSubstr(path + " is not a regular file"));
  }
  // Also where somebody reads it, and opening succeeds.
  const UniqueFd reader(open(pipe.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  ASSERT_TRUE(reader.valid());
  EXPECT_THAT(std::string(EventLog::Create(pipe).status().message()),
              HasSubstr(pipe + " is not a regular file"));
}

TEST(EventLogTest, NoneWritesNothingAndSucceeds) {
  auto log = EventLog::Create("none");
  ASSERT_TRUE(log.ok());
  EXPECT_TRUE((*log)->Write(Denied("/a")).ok());
  EXPECT_TRUE((*log)->Reopen().ok());
}

TEST(EventLogTest, StandardErrorGetsALine) {
  auto log = EventLog::Create("stderr");
  ASSERT_TRUE(log.ok());
  testing::internal::CaptureStderr();
  ASSERT_TRUE((*log)->Write(Denied("/a")).ok());
  EXPECT_THAT(testing::internal::GetCapturedStderr(), testing::EndsWith("}\n"));
}

}  // namespace
}  // namespace postern::eventlog
