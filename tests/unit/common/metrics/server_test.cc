// SPDX-License-Identifier: Apache-2.0
#include "common/metrics/server.h"

#include <dirent.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/mutex.h"
#include "tests/support/free_port.h"
#include "tests/support/http.h"
#include "tests/support/process.h"

namespace postern::metrics {
namespace {

using support::Ask;
using support::ConnectTo;
using support::Eventually;
using support::HttpAnswer;
using ::testing::HasSubstr;
using ::testing::Not;

int EntriesOf(const char* folder) {
  DIR* directory = opendir(folder);
  int entries = 0;
  while (readdir(directory) != nullptr) ++entries;
  closedir(directory);
  return entries;
}

// By the other end.
bool IsCut(const UniqueFd& fd) {
  char byte;
  const ssize_t size = recv(fd.get(), &byte, 1, MSG_DONTWAIT | MSG_PEEK);
  return size >= 0 || errno == ECONNRESET || errno == EPIPE;
}

class MetricsServerTest : public testing::Test {
 protected:
  void Start(absl::Duration fresh = absl::ZeroDuration()) {
    auto server = Server::Start(
        address_, [this] { return Collect(); }, fresh);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }
  absl::StatusOr<std::vector<Family>> Collect() {
    ++collected_;
    if (!failure_.ok()) return failure_;
    return std::vector<Family>{{"answer", "It.", Type::kGauge, {Value(uint64_t{42})}}};
  }
  bool Answers() const { return Ask(address_, "/metrics").status == 200; }

  const std::string address_ = "127.0.0.1:" + support::FreePort();
  std::atomic<int> collected_ = 0;
  absl::Status failure_;
  std::unique_ptr<Server> server_;
};

TEST_F(MetricsServerTest, AnswersInPrometheusTextFormat) {
  Start();
  const HttpAnswer answer = Ask(address_, "/metrics");
  EXPECT_EQ(answer.status, 200);
  EXPECT_THAT(answer.head, HasSubstr("Content-Type: text/plain; version=0.0.4; charset=utf-8"));
  EXPECT_EQ(answer.body, "# HELP answer It.\n# TYPE answer gauge\nanswer 42\n");
}

TEST_F(MetricsServerTest, HasNothingElse) {
  Start();
  for (const char* path : {"/", "/metrics/more", "/metricsmore", "/../../etc/hostname",
                           "//etc/hostname", "/%2e%2e/%2e%2e/etc/hostname"}) {
    EXPECT_THAT(Ask(address_, path).status, testing::AnyOf(400, 403, 404)) << path;
  }
  for (const char* method : {"POST", "PUT", "DELETE", "PROPFIND", "CONNECT", "BREW"}) {
    const HttpAnswer answer = Ask(address_, "/metrics", method);
    EXPECT_NE(answer.status, 200) << method;
    EXPECT_THAT(answer.body, Not(HasSubstr("42"))) << method;
  }
  EXPECT_EQ(collected_, 0);
}

TEST_F(MetricsServerTest, WhatCannotBeCollectedIsAnErrorAndNoOldValue) {
  Start();
  EXPECT_TRUE(Answers());
  failure_ = absl::DeadlineExceededError("the agent is busy; see its log");
  const HttpAnswer answer = Ask(address_, "/metrics");
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.body, "the agent is busy; see its log\n");
  failure_ = absl::OkStatus();
  EXPECT_TRUE(Answers());
}

TEST_F(MetricsServerTest, WhoAsksOftenIsToldTheSame) {
  Start(absl::Hours(1));
  for (int i = 0; i < 50; ++i) EXPECT_TRUE(Answers());
  EXPECT_EQ(collected_, 1);
}

TEST_F(MetricsServerTest, WhoSaysNothingOrLittleIsCutOffAndOthersAreAnswered) {
  Start();
  std::vector<UniqueFd> held;
  held.reserve(5);
  for (int i = 0; i < 5; ++i) held.push_back(ConnectTo(address_));
  EXPECT_TRUE(support::Send(held.back(), "GET /metrics HTTP/1.1\r\nHost: "));
  EXPECT_TRUE(Answers());
  EXPECT_TRUE(Eventually([&] { return std::all_of(held.begin(), held.end(), IsCut); }));
}

TEST_F(MetricsServerTest, WhoFeedsItByteAfterByteIsCutOff) {
  Start();
  std::vector<UniqueFd> dripping;
  for (int i = 0; i < 2; ++i) {
    dripping.push_back(ConnectTo(address_));
    EXPECT_TRUE(support::Send(dripping.back(), "GET /metrics HTTP/1.1\r\nX: "));
  }
  // Each byte in time, the question never.
  EXPECT_TRUE(Eventually([&] {
    for (const UniqueFd& fd : dripping) support::Send(fd, "x");
    return std::all_of(dripping.begin(), dripping.end(), IsCut);
  }));
  EXPECT_TRUE(Answers());
}

TEST_F(MetricsServerTest, AQuestionThatIsTooLongIsRefused) {
  Start();
  const UniqueFd fd = ConnectTo(address_);
  support::Send(fd, absl::StrCat("GET /metrics HTTP/1.1\r\nX: ", std::string(1 << 20, 'x')));
  EXPECT_THAT(support::ReadAll(fd), Not(HasSubstr("200 OK")));
  EXPECT_TRUE(Answers());
}

TEST_F(MetricsServerTest, ManyWhoConnectTakeFewFilesAndThreads) {
  const int files = EntriesOf("/proc/self/fd"), threads = EntriesOf("/proc/self/task");
  Start();
  EXPECT_LE(EntriesOf("/proc/self/task") - threads, 3);
  std::vector<UniqueFd> many;
  for (int i = 0; i < 300; ++i) {
    many.emplace_back(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_in at = {};
    at.sin_family = AF_INET;
    at.sin_port = htons(static_cast<uint16_t>(std::stoi(address_.substr(address_.rfind(':') + 1))));
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    // Those that find no room in the queue wait for it.
    static_cast<void>(
        connect(many.back().get(), reinterpret_cast<const sockaddr*>(&at), sizeof(at)));
  }
  // For as long as the first of them is held on to, which is until it is cut off.
  int most = 0;
  EXPECT_TRUE(Eventually([&] {
    most = std::max(most, EntriesOf("/proc/self/fd") - files - 300);
    return IsCut(many.front());
  }));
  EXPECT_GT(most, 3) << "the listening socket, and those that it took";
  EXPECT_LE(most, 20);
  many.clear();
  EXPECT_TRUE(Eventually([&] { return Answers(); }));
}

TEST_F(MetricsServerTest, StopsWhileOthersHoldOn) {
  Start();
  std::vector<UniqueFd> silent;
  silent.reserve(12);
  for (int i = 0; i < 12; ++i) silent.push_back(ConnectTo(address_));
  server_.reset();
  EXPECT_FALSE(ConnectTo(address_).valid());
  // The address is free again at once.
  Start();
  EXPECT_TRUE(Answers());
}

TEST_F(MetricsServerTest, AnAddressThatAnotherHasIsOneLine) {
  Start();
  const auto second = Server::Start(address_, [this] { return Collect(); });
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.status().message(),
            absl::StrCat("no metrics on ", address_, ": another program has that port"));
  EXPECT_TRUE(Answers());
}

TEST_F(MetricsServerTest, NoOtherAddressIsServed) {
  const auto server = Server::Start("0.0.0.0:" + support::FreePort(), [this] { return Collect(); });
  EXPECT_TRUE(absl::IsInvalidArgument(server.status())) << server.status();
}

}  // namespace
}  // namespace postern::metrics
