// SPDX-License-Identifier: Apache-2.0
#include "tests/support/foreign_program.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <mntent.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iterator>
#include <string>

#include "common/status.h"

namespace postern::support {

namespace {

// Where the whole tree of cgroup v2 is mounted; "" where it is not.
std::string CgroupRoot() {
  FILE* mounts = setmntent("/proc/self/mounts", "r");
  std::string root;
  for (const mntent* mount; root.empty() && (mount = getmntent(mounts)) != nullptr;) {
    if (strcmp(mount->mnt_type, "cgroup2") == 0) root = mount->mnt_dir;
  }
  endmntent(mounts);
  return root;
}

}  // namespace

absl::StatusOr<UniqueFd> AttachOverride() {
  if (libbpf_probe_bpf_helper(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_FUNC_set_retval, nullptr) != 1) {
    return absl::UnimplementedError("this kernel has no bpf_set_retval");
  }
  // bpf_set_retval(0); return 1;
  const bpf_insn program[] = {
      {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 1, .src_reg = 0, .off = 0, .imm = 0},
      {.code = BPF_JMP | BPF_CALL,
       .dst_reg = 0,
       .src_reg = 0,
       .off = 0,
       .imm = BPF_FUNC_set_retval},
      {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 1},
      {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0},
  };
  bpf_prog_load_opts options = {};
  options.sz = sizeof(options);
  options.expected_attach_type = BPF_CGROUP_INET4_CONNECT;
  const UniqueFd loaded(bpf_prog_load(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, "lets_pass", "GPL", program,
                                      std::size(program), &options));
  if (!loaded.valid()) return ErrnoStatus(errno, "loading a program that lets pass");
  const UniqueFd root(open(CgroupRoot().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!root.valid()) return ErrnoStatus(errno, "the root of cgroup v2");
  UniqueFd link(bpf_link_create(loaded.get(), root.get(), BPF_CGROUP_INET4_CONNECT, nullptr));
  if (!link.valid()) return ErrnoStatus(errno, "attaching a program that lets pass");
  return link;
}

}  // namespace postern::support
