// SPDX-License-Identifier: Apache-2.0
#include "agent/service_manager.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <string>

#include "common/unique_fd.h"
#include "tests/unit/agent/temporary_folder.h"

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

  const TemporaryFolder folder_;
  const UniqueFd socket_;
};

TEST_F(ServiceManagerTest, WithoutAWatchdogNoSignOfLifeIsSent) {
  NotifyAlive();
  EXPECT_EQ(Received(), "");
  NotifyStatus("monitor");
  EXPECT_EQ(Received(), "STATUS=monitor") << "what is no sign of life is still sent";
}

TEST_F(ServiceManagerTest, AWatchdogGetsItsSignOfLife) {
  setenv("WATCHDOG_USEC", "30000000", 1);
  NotifyAlive();
  EXPECT_EQ(Received(), "WATCHDOG=1");
}

}  // namespace
}  // namespace postern::agent
