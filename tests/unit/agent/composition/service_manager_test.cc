// SPDX-License-Identifier: Apache-2.0
#include "agent/service_manager.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <chrono>
#include <cstddef>
#include <cstring>
#include <future>
#include <string>

#include "common/unique_fd.h"
#include "tests/support/temporary_folder.h"

namespace postern::agent {
namespace {

class ServiceManagerTest : public testing::Test {
 protected:
  ServiceManagerTest() : socket_(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    const std::string path = folder_ / "notify";
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    memcpy(address.sun_path, path.c_str(), path.size() + 1);
    EXPECT_EQ(bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
    setenv("NOTIFY_SOCKET", path.c_str(), 1);
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
  }
  ~ServiceManagerTest() override {
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
  }

  // The next message; "" where there is none.
  std::string Received() {
    char message[256];
    const ssize_t got = recv(socket_.get(), message, sizeof(message), MSG_DONTWAIT);
    return got < 0 ? "" : std::string(message, static_cast<size_t>(got));
  }

  // Until nothing fits any more; returns how many messages did.
  int Fill() {
    const UniqueFd filler(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_un address = {};
    socklen_t bytes = sizeof(address);
    EXPECT_EQ(getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&address), &bytes), 0);
    int sent = 0;
    while (sendto(filler.get(), "x", 1, MSG_DONTWAIT, reinterpret_cast<const sockaddr*>(&address),
                  bytes) == 1) {
      ++sent;
    }
    return sent;
  }
  void Empty(int messages) {
    for (int i = 0; i < messages; ++i) EXPECT_EQ(Received(), "x");
  }

  const TemporaryFolder folder_;
  const UniqueFd socket_;
  ServiceManager manager_;
};

TEST_F(ServiceManagerTest, WithoutAWatchdogNoSignOfLifeIsSent) {
  manager_.Alive();
  EXPECT_EQ(Received(), "");
  manager_.Ready("monitor");
  EXPECT_EQ(Received(), "READY=1\nSTATUS=monitor") << "what is no sign of life is still sent";
}

TEST_F(ServiceManagerTest, AWatchdogGetsItsSignOfLife) {
  setenv("WATCHDOG_USEC", "30000000", 1);
  manager_.Alive();
  EXPECT_EQ(Received(), "WATCHDOG=1");
}

TEST_F(ServiceManagerTest, ASocketThatNobodyReadsHoldsNobodyUp) {
  setenv("WATCHDOG_USEC", "30000000", 1);
  const int messages = Fill();
  auto told = std::async(std::launch::async, [this] {
    manager_.Ready("monitor");
    manager_.Alive();
  });
  const bool in_time = told.wait_for(std::chrono::seconds(10)) == std::future_status::ready;
  EXPECT_TRUE(in_time);
  Empty(messages);
  told.get();
}

TEST_F(ServiceManagerTest, WhatFoundNoRoomIsToldLaterUnlessItIsOutdated) {
  const int messages = Fill();
  manager_.Reloading();
  manager_.Ready("enforce");
  Empty(messages);
  EXPECT_EQ(Received(), "") << "it had no room";
  manager_.Alive();
  EXPECT_EQ(Received(), "READY=1\nSTATUS=enforce");
  manager_.Alive();
  EXPECT_EQ(Received(), "") << "once is enough";
}

TEST_F(ServiceManagerTest, AnAbstractSocketIsReachedAndOneThatIsGoneIsNoMatter) {
  const UniqueFd abstract(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  // The kernel chooses a free name for an address that is the family alone.
  ASSERT_EQ(bind(abstract.get(), reinterpret_cast<sockaddr*>(&address), sizeof(sa_family_t)), 0);
  socklen_t bytes = sizeof(address);
  ASSERT_EQ(getsockname(abstract.get(), reinterpret_cast<sockaddr*>(&address), &bytes), 0);
  const size_t length = bytes - offsetof(sockaddr_un, sun_path) - 1;
  setenv("NOTIFY_SOCKET", ("@" + std::string(address.sun_path + 1, length)).c_str(), 1);
  manager_.Stopping();
  char message[32] = "";
  ASSERT_GT(recv(abstract.get(), message, sizeof(message), MSG_DONTWAIT), 0);
  EXPECT_EQ(std::string(message), "STOPPING=1");
  setenv("NOTIFY_SOCKET", (folder_ / "gone").c_str(), 1);
  manager_.Stopping();
  manager_.Alive();
}

}  // namespace
}  // namespace postern::agent
