// SPDX-License-Identifier: Apache-2.0
// Any text as what the agent reads of its host: as /proc/self/mountinfo, and each
// line as the path of a cgroup. Names of mounts and cgroups are the users' own.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "agent/enrich/cgroup_names.h"
#include "agent/enrich/mount_table.h"
#include "agent/sensor/decoder.h"
#include "postern/v1/event.pb.h"

namespace {

using postern::sensor::PrintableText;

// Every mount shows the root of what it mounts.
void FindEachRoot(const std::vector<postern::enrich::Mount>& mounts, postern::v1::Event& event) {
  for (const postern::enrich::Mount& mount : mounts) {
    const auto path = postern::enrich::HostPath(mounts, mount.device, PrintableText(mount.root));
    if (!path.has_value()) abort();
    event.add_args(*path);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view text(reinterpret_cast<const char*>(data), size);
  postern::v1::Event event;
  FindEachRoot(postern::enrich::ParseMountInfo(text), event);
  for (const absl::string_view path : absl::StrSplit(text, '\n')) {
    postern::enrich::UnitOf(path);
    postern::enrich::ContainerOf(path);
    // As it comes from CgroupPaths.
    const std::string printable = PrintableText(path);
    event.add_args(postern::enrich::UnitOf(printable));
    event.add_args(postern::enrich::ContainerOf(printable));
  }
  // The wire refuses strings that are not UTF-8.
  postern::v1::Event copy;
  if (!copy.ParseFromString(event.SerializeAsString())) abort();
  return 0;
}
