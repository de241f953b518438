// SPDX-License-Identifier: Apache-2.0
#include "agent/service_manager.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/unique_fd.h"

namespace postern::agent {
namespace {

// False where the socket has no room now; where nobody has one, nobody misses it.
bool Send(absl::string_view state) {
  const char* path = getenv("NOTIFY_SOCKET");
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  const size_t length = path == nullptr ? 0 : strlen(path);
  if (length < 2 || length >= sizeof(address.sun_path)) return true;
  memcpy(address.sun_path, path, length);
  // An abstract socket's name begins with a zero byte.
  if (address.sun_path[0] == '@') address.sun_path[0] = '\0';
  const auto bytes = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length);
  const UniqueFd fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return false;
  return sendto(fd.get(), state.data(), state.size(), MSG_DONTWAIT | MSG_NOSIGNAL,
                reinterpret_cast<const sockaddr*>(&address), bytes) >= 0 ||
         errno != EAGAIN;
}

}  // namespace

void ServiceManager::Tell(std::string state) { untold_ = Send(state) ? "" : std::move(state); }

void ServiceManager::Ready(absl::string_view status) {
  Tell(absl::StrCat("READY=1\nSTATUS=", status));
}

void ServiceManager::Reloading() {
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  Tell(absl::StrCat("RELOADING=1\nMONOTONIC_USEC=",
                    now.tv_sec * int64_t{1'000'000} + now.tv_nsec / 1000));
}

void ServiceManager::Stopping() { Tell("STOPPING=1"); }

void ServiceManager::Alive() {
  if (!untold_.empty()) Tell(std::move(untold_));
  uint64_t interval_us = 0;
  if (sd_watchdog_enabled(/*unset_environment=*/0, &interval_us) > 0) Send("WATCHDOG=1");
}

}  // namespace postern::agent
