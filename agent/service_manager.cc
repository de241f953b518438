// SPDX-License-Identifier: Apache-2.0
#include "agent/service_manager.h"

#include <systemd/sd-daemon.h>
#include <time.h>

#include "absl/strings/str_cat.h"

namespace postern::agent {
namespace {

void Notify(const std::string& state) { sd_notify(/*unset_environment=*/0, state.c_str()); }

}  // namespace

void NotifyReady(absl::string_view status) { Notify(absl::StrCat("READY=1\nSTATUS=", status)); }

void NotifyReloading() {
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  Notify(absl::StrCat("RELOADING=1\nMONOTONIC_USEC=",
                      now.tv_sec * int64_t{1'000'000} + now.tv_nsec / 1000));
}

void NotifyStopping() { Notify("STOPPING=1"); }
void NotifyStatus(absl::string_view status) { Notify(absl::StrCat("STATUS=", status)); }

void NotifyAlive() {
  uint64_t interval_us = 0;
  // Every datagram that nobody reads fills the socket, until sending blocks.
  if (sd_watchdog_enabled(/*unset_environment=*/0, &interval_us) > 0) Notify("WATCHDOG=1");
}

}  // namespace postern::agent
