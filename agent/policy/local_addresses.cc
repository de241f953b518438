// SPDX-License-Identifier: Apache-2.0
#include "agent/policy/local_addresses.h"

#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "common/status.h"

namespace postern::policy {
namespace {

absl::StatusOr<std::vector<AddressBytes>> ListAddresses() {
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return ErrnoStatus(errno, "cannot list this host's addresses");
  const std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> owner(list, freeifaddrs);
  std::vector<AddressBytes> addresses;
  for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_addr == nullptr) continue;
    AddressBytes bytes = {};
    if (entry->ifa_addr->sa_family == AF_INET) {
      sockaddr_in address;
      std::memcpy(&address, entry->ifa_addr, sizeof(address));
      bytes[10] = bytes[11] = 0xff;
      std::memcpy(bytes.data() + 12, &address.sin_addr, 4);
    } else if (entry->ifa_addr->sa_family == AF_INET6) {
      sockaddr_in6 address;
      std::memcpy(&address, entry->ifa_addr, sizeof(address));
      std::memcpy(bytes.data(), &address.sin6_addr, 16);
    } else {
      continue;
    }
    addresses.push_back(bytes);
  }
  std::sort(addresses.begin(), addresses.end());
  addresses.erase(std::unique(addresses.begin(), addresses.end()), addresses.end());
  return addresses;
}

}  // namespace

absl::StatusOr<std::unique_ptr<LocalAddresses>> LocalAddresses::Create() {
  UniqueFd fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
  if (!fd.valid()) return ErrnoStatus(errno, "cannot listen for changes of addresses");
  sockaddr_nl groups = {};
  groups.nl_family = AF_NETLINK;
  groups.nl_groups = RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR;
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&groups), sizeof(groups)) != 0) {
    return ErrnoStatus(errno, "cannot listen for changes of addresses");
  }
  std::unique_ptr<LocalAddresses> local(new LocalAddresses(std::move(fd)));
  RETURN_IF_ERROR(local->Refresh().status());
  return local;
}

absl::StatusOr<bool> LocalAddresses::TakeMessages() {
  bool any = false;
  char buffer[8192];
  while (true) {
    // What a message says does not matter: the list is taken anew.
    const ssize_t got = recv(socket_.get(), buffer, sizeof(buffer), 0);
    if (got < 0 && errno == EINTR) continue;
    // netlink(7): messages were dropped, and more may wait.
    if (got < 0 && errno != ENOBUFS) {
      if (errno == EAGAIN || errno == EWOULDBLOCK) return any;
      return ErrnoStatus(errno, "cannot read changes of addresses");
    }
    any = true;
  }
}

absl::StatusOr<bool> LocalAddresses::Refresh() {
  ASSIGN_OR_RETURN(const bool news, TakeMessages());
  stale_ = stale_ || news;
  if (!stale_) return false;
  ASSIGN_OR_RETURN(std::vector<AddressBytes> now, ListAddresses());
  stale_ = false;
  const bool changed = now != addresses_;
  addresses_ = std::move(now);
  return changed;
}

}  // namespace postern::policy
