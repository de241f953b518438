// SPDX-License-Identifier: Apache-2.0
#include "agent/policy/local_addresses.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <thread>

#include "agent/policy/cidr.h"

namespace postern::policy {
namespace {

using ::testing::Contains;
using ::testing::Not;

// Adds `address` (IPv4, /32) to the loopback of this thread's network namespace,
// or takes it away.
void ChangeLoopback(uint16_t type, const char* address) {
  struct {
    nlmsghdr header;
    ifaddrmsg message;
    rtattr attribute;
    uint8_t bytes[4];
  } request = {};
  static_assert(sizeof(request) == NLMSG_LENGTH(sizeof(ifaddrmsg)) + RTA_LENGTH(4));
  request.header.nlmsg_len = sizeof(request);
  request.header.nlmsg_type = type;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
  if (type == RTM_NEWADDR) request.header.nlmsg_flags |= NLM_F_CREATE | NLM_F_EXCL;
  request.message.ifa_family = AF_INET;
  request.message.ifa_prefixlen = 32;
  request.message.ifa_index = if_nametoindex("lo");
  request.attribute.rta_len = RTA_LENGTH(4);
  request.attribute.rta_type = IFA_LOCAL;
  const AddressBytes bytes = ParseAddress(address).value();
  std::memcpy(request.bytes, bytes.data() + 12, 4);

  const UniqueFd fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  ASSERT_TRUE(fd.valid());
  ASSERT_EQ(send(fd.get(), &request, sizeof(request), 0), static_cast<ssize_t>(sizeof(request)));
  struct {
    nlmsghdr header;
    nlmsgerr error;
    char rest[512];
  } answer = {};
  ASSERT_GT(recv(fd.get(), &answer, sizeof(answer), 0), 0);
  ASSERT_EQ(answer.header.nlmsg_type, NLMSG_ERROR);
  ASSERT_EQ(answer.error.error, 0) << strerror(-answer.error.error);
}

bool Readable(int fd) {
  pollfd entry = {fd, POLLIN, 0};
  return poll(&entry, 1, 10000) == 1;
}

// Runs `body` on a thread in a network namespace of its own.
void InOwnNetwork(const std::function<void()>& body) {
  bool denied = false;
  std::thread([&] {
    if (unshare(CLONE_NEWNET) != 0) {
      denied = errno == EPERM;
      ASSERT_TRUE(denied) << strerror(errno);
      return;
    }
    body();
  }).join();
  if (denied) GTEST_SKIP() << "needs root to make a network namespace";
}

TEST(LocalAddressesTest, LoopbackOfThisMachineIsListedOnce) {
  const auto local = LocalAddresses::Create();
  ASSERT_TRUE(local.ok()) << local.status();
  const auto& addresses = (*local)->addresses();
  EXPECT_THAT(addresses, Contains(ParseAddress("127.0.0.1").value()).Times(1));
  EXPECT_TRUE(std::is_sorted(addresses.begin(), addresses.end()));
}

TEST(LocalAddressesTest, AddressThatComesAndGoesIsSeen) {
  InOwnNetwork([] {
    auto created = LocalAddresses::Create();
    ASSERT_TRUE(created.ok()) << created.status();
    LocalAddresses& local = **created;
    const AddressBytes address = ParseAddress("198.51.100.7").value();
    EXPECT_THAT(local.addresses(), Not(Contains(address)));
    EXPECT_FALSE(local.Refresh().value());

    ChangeLoopback(RTM_NEWADDR, "198.51.100.7");
    ASSERT_TRUE(Readable(local.fd()));
    EXPECT_TRUE(local.Refresh().value());
    EXPECT_THAT(local.addresses(), Contains(address));
    EXPECT_FALSE(local.Refresh().value());

    ChangeLoopback(RTM_DELADDR, "198.51.100.7");
    ASSERT_TRUE(Readable(local.fd()));
    EXPECT_TRUE(local.Refresh().value());
    EXPECT_THAT(local.addresses(), Not(Contains(address)));
  });
}

TEST(LocalAddressesTest, ChangesPastTheSocketsBufferAreNotMissed) {
  InOwnNetwork([] {
    auto created = LocalAddresses::Create();
    ASSERT_TRUE(created.ok()) << created.status();
    LocalAddresses& local = **created;
    const int least = 1;
    ASSERT_EQ(setsockopt(local.fd(), SOL_SOCKET, SO_RCVBUF, &least, sizeof(least)), 0);
    for (int i = 1; i < 250; ++i) {
      ChangeLoopback(RTM_NEWADDR, ("198.51.100." + std::to_string(i)).c_str());
    }
    int error = 0;
    socklen_t size = sizeof(error);
    ASSERT_TRUE(Readable(local.fd()));
    EXPECT_TRUE(local.Refresh().value());
    EXPECT_THAT(local.addresses(), Contains(ParseAddress("198.51.100.249").value()));
    ASSERT_EQ(getsockopt(local.fd(), SOL_SOCKET, SO_ERROR, &error, &size), 0);
    EXPECT_EQ(error, 0);
    EXPECT_FALSE(local.Refresh().value());
  });
}

}  // namespace
}  // namespace postern::policy
