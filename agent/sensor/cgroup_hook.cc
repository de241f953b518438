// SPDX-License-Identifier: Apache-2.0
#include "agent/sensor/cgroup_hook.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>

#include "agent/sensor/decoder.h"
#include "agent/sensor/mounts.h"
#include "agent/sensor/pin_folder.h"
#include "common/status.h"
#include "common/unique_fd.h"

namespace postern::sensor {
namespace {

namespace fs = std::filesystem;

// What the kernel takes for one cgroup (BPF_CGROUP_MAX_PROGS), and the root has
// none above it.
constexpr uint32_t kProgramsMax = 64;

absl::StatusOr<bpf_prog_info> InfoOfProgram(int fd) {
  bpf_prog_info info = {};
  uint32_t bytes = sizeof(info);
  if (bpf_obj_get_info_by_fd(fd, &info, &bytes) != 0) {
    return ErrnoStatus(errno, "asking the kernel about a program");
  }
  return info;
}

// 0 where it is no link of a cgroup.
uint32_t ProgramOfPinnedLink(const fs::path& pin) {
  const UniqueFd link(bpf_obj_get(pin.c_str()));
  bpf_link_info info = {};
  uint32_t bytes = sizeof(info);
  if (!link.valid() || bpf_obj_get_info_by_fd(link.get(), &info, &bytes) != 0) return 0;
  return info.type == BPF_LINK_TYPE_CGROUP ? info.prog_id : 0;
}

// FOLDER of the pin FOLDER/VERSION/links/NAME that holds a link of this program.
std::string PinFolderOfProgram(uint32_t id) {
  for (const std::string& bpffs : MountPointsOf("bpf")) {
    std::error_code error;
    fs::recursive_directory_iterator it(bpffs, error);
    for (const fs::recursive_directory_iterator end; !error && it != end; it.increment(error)) {
      const fs::path folder = it->path().parent_path();
      if (folder.filename() != "links" || ProgramOfPinnedLink(it->path()) != id) continue;
      return folder.parent_path().parent_path();
    }
  }
  return "";
}

}  // namespace

absl::StatusOr<CgroupHook> LookAtHook(int cgroup_fd, const bpf_program* program,
                                      const std::string& pin) {
  const uint32_t pinned = ProgramOfPinnedLink(pin);
  // Those in effect are listed in the order in which they run; without the flag,
  // the kernel lists them as they were attached.
  std::array<uint32_t, kProgramsMax> ids = {};
  uint32_t count = kProgramsMax;
  if (bpf_prog_query(cgroup_fd, bpf_program__expected_attach_type(program), BPF_F_QUERY_EFFECTIVE,
                     nullptr, ids.data(), &count) != 0) {
    return ErrnoStatus(errno, "asking the kernel what is attached to the root of cgroup v2");
  }
  CgroupHook hook;
  for (uint32_t i = 0; i < count; ++i) {
    if (ids[i] == pinned) {
      hook.ours = true;
      continue;
    }
    const UniqueFd fd(bpf_prog_get_fd_by_id(ids[i]));
    // Gone since it was listed.
    if (!fd.valid()) continue;
    ASSIGN_OR_RETURN(const bpf_prog_info info, InfoOfProgram(fd.get()));
    OtherProgram other;
    other.id = ids[i];
    other.name = PrintableText(info.name);
    other.runs_after = hook.ours;
    // Another build has another tag; a name of more than 15 bytes would be cut.
    other.is_postern = other.name == bpf_program__name(program);
    if (other.is_postern) other.pin_folder = PinFolderOfProgram(ids[i]);
    other.has_agent = !other.pin_folder.empty() && HasAgent(other.pin_folder);
    hook.others.push_back(std::move(other));
  }
  return hook;
}

}  // namespace postern::sensor
