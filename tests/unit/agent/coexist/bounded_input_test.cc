// SPDX-License-Identifier: Apache-2.0
#include "agent/coexist/bounded_input.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/time.h"
#include "tests/support/eventually.h"
#include "tests/support/temporary_folder.h"

namespace postern::coexist {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::Not;
using testing::SizeIs;
using testing::StartsWith;

class BoundedInputTest : public testing::Test {
 protected:
  std::string File(const std::string& text) {
    std::string path = folder_ / "file";
    std::ofstream(path) << text;
    return path;
  }
  absl::Status Run(const std::string& script, size_t bytes = 1000,
                   absl::Duration time = support::kPatience) {
    return RunLines({"/bin/sh", "-c", script}, {.bytes = bytes, .time = time, .stop = &stop_},
                    keep_);
  }

  TemporaryFolder folder_;
  std::atomic<bool> stop_ = false;
  std::vector<std::string> lines_;
  const OnLine keep_ = [this](absl::string_view line) { lines_.emplace_back(line); };
};

TEST_F(BoundedInputTest, AFileIsReadFromItsBeginningOrItsEnd) {
  const std::string path = File("one\ntwo\n\nthree");
  EXPECT_TRUE(ReadLines(path, {.bytes = 100}, keep_).ok());
  EXPECT_THAT(lines_, ElementsAre("one", "two", "", "three"));
  lines_.clear();
  EXPECT_TRUE(absl::IsResourceExhausted(ReadLines(path, {.bytes = 8}, keep_)));
  EXPECT_THAT(lines_, ElementsAre("one", "two"));
  lines_.clear();
  // A line without its beginning is none.
  EXPECT_TRUE(ReadLastLines(path, {.bytes = 8}, keep_).ok());
  EXPECT_THAT(lines_, ElementsAre("", "three"));
}

TEST_F(BoundedInputTest, ALineWithoutAnEndIsCut) {
  EXPECT_TRUE(ReadLines(File(std::string(100000, 'x') + "\ny"), {.bytes = 200000}, keep_).ok());
  ASSERT_THAT(lines_, SizeIs(2));
  EXPECT_EQ(lines_[0].size(), kMaxLine);
  EXPECT_EQ(lines_[1], "y");
}

TEST_F(BoundedInputTest, WhatIsNotThereOrNoFileSaysSo) {
  EXPECT_TRUE(absl::IsNotFound(ReadLines(folder_ / "none", {.bytes = 9}, keep_)));
  EXPECT_TRUE(absl::IsNotFound(RunLines({folder_ / "none"}, {.bytes = 9}, keep_)));
  EXPECT_FALSE(ReadLines(folder_.path(), {.bytes = 9}, keep_).ok());
  // Nobody ever writes to it.
  ASSERT_EQ(mkfifo((folder_ / "fifo").c_str(), 0600), 0);
  EXPECT_FALSE(ReadLines(folder_ / "fifo", {.bytes = 9}, keep_).ok());
}

TEST_F(BoundedInputTest, AProgramRunsWithoutWhatIsOurs) {
  setenv("POSTERN_SECRET", "x", 1);
  EXPECT_TRUE(Run("echo begin; env; read line || echo nothing to read; ls /proc/self/fd | wc -l; "
                  "grep SigBlk /proc/self/status; printf end")
                  .ok());
  unsetenv("POSTERN_SECRET");
  EXPECT_THAT(lines_, Contains("nothing to read"));
  EXPECT_THAT(lines_, Contains("4"));  // and the folder that ls reads
  EXPECT_THAT(lines_, Contains("SigBlk:\t0000000000000000"));
  EXPECT_THAT(lines_, Contains("LC_ALL=C"));
  EXPECT_THAT(lines_, Not(Contains(StartsWith("POSTERN_SECRET"))));
  EXPECT_EQ(lines_.back(), "end");
  EXPECT_TRUE(absl::IsUnknown(Run("exit 3")));
}

TEST_F(BoundedInputTest, AProgramThatPrintsWithoutEndIsEnded) {
  EXPECT_TRUE(absl::IsResourceExhausted(Run("while :; do echo x; done")));
  EXPECT_THAT(lines_, SizeIs(500));
}

TEST_F(BoundedInputTest, AProgramThatDoesNotEndIsEndedWithItsChildren) {
  EXPECT_TRUE(
      absl::IsDeadlineExceeded(Run("sleep 1000 & echo $!; wait", 1000, absl::Milliseconds(300))));
  ASSERT_THAT(lines_, SizeIs(1));
  const pid_t child = std::stoi(lines_[0]);
  // Nobody may have waited for it here; then it is a zombie.
  const auto ended = [&] {
    std::ifstream stat("/proc/" + lines_[0] + "/stat");
    std::string pid, name, state;
    return !(stat >> pid >> name >> state) || state == "Z" || kill(child, 0) != 0;
  };
  EXPECT_TRUE(support::Eventually(ended));
  EXPECT_TRUE(absl::IsDeadlineExceeded(Run("exec >&-; sleep 1000", 1000, absl::Milliseconds(300))));
}

TEST_F(BoundedInputTest, AProgramIsEndedWhenNobodyWantsItAnyMore) {
  std::thread stopper([this] { stop_ = true; });
  EXPECT_FALSE(Run("sleep 1000", 1000, absl::InfiniteDuration()).ok());
  stopper.join();
}

}  // namespace
}  // namespace postern::coexist
