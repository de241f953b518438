// SPDX-License-Identifier: Apache-2.0
#include "agent/sensor/link_keeper.h"

#include <bpf/libbpf.h>

#include <cerrno>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/status.h"

namespace postern::sensor {
namespace {

// Closing a pinned link leaves it attached.
using Link = std::unique_ptr<bpf_link, decltype(&bpf_link__destroy)>;

Link Own(bpf_link* link) { return Link(link, &bpf_link__destroy); }

absl::Status Pin(const PinFolder& pins, bpf_link* link, absl::string_view name) {
  const int error = bpf_link__pin(link, pins.LinkPath(name).c_str());
  if (error == 0) return absl::OkStatus();
  return ErrnoStatus(-error, absl::StrCat("pinning the link ", name));
}

}  // namespace

absl::Status KeepTracker(const PinFolder& pins, absl::string_view name,
                         const bpf_program* program) {
  const std::string arriving = absl::StrCat(name, "-new");
  // Left by an agent that died between pinning and renaming. (bpffs refuses dots in names.)
  RETURN_IF_ERROR(pins.RemoveLink(arriving));
  const Link link = Own(bpf_program__attach(program));
  if (link == nullptr) return ErrnoStatus(errno, absl::StrCat("attaching the tracker ", name));
  RETURN_IF_ERROR(Pin(pins, link.get(), arriving));
  return pins.RenameLink(arriving, name);
}

absl::Status KeepCgroupHook(const PinFolder& pins, absl::string_view name,
                            const bpf_program* program, int cgroup_fd) {
  if (pins.HasLink(name)) {
    const Link link = Own(bpf_link__open(pins.LinkPath(name).c_str()));
    if (link == nullptr) return ErrnoStatus(errno, absl::StrCat("opening the pinned ", name));
    const int error = bpf_link__update_program(link.get(), const_cast<bpf_program*>(program));
    if (error == 0) return absl::OkStatus();
    // ENOLINK: its cgroup is gone (a hierarchy that was mounted anew).
    if (error != -ENOLINK) return ErrnoStatus(-error, absl::StrCat("updating the hook ", name));
    RETURN_IF_ERROR(pins.RemoveLink(name));
  }
  const Link link = Own(bpf_program__attach_cgroup(program, cgroup_fd));
  if (link == nullptr) return ErrnoStatus(errno, absl::StrCat("attaching the hook ", name));
  return Pin(pins, link.get(), name);
}

}  // namespace postern::sensor
