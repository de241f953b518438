/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgroup_allow FOLDER PROGRAM ARGUMENT…
 *
 * Enters the cgroup FOLDER, attaches a program to it that lets every connect pass
 * and takes back what another program said, and becomes `PROGRAM ARGUMENT…`.
 */
#include <fcntl.h>
#include <linux/bpf.h>
#include <stdint.h>

#include "tests/support/attacks/attack.h"

static int load(void) {
  struct bpf_insn code[] = {
      {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_1, .imm = 0},
      {.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_set_retval},
      {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 1},
      {.code = BPF_JMP | BPF_EXIT},
  };
  union bpf_attr attr;
  memset(&attr, 0, sizeof(attr));
  attr.prog_type = BPF_PROG_TYPE_CGROUP_SOCK_ADDR;
  attr.expected_attach_type = BPF_CGROUP_INET4_CONNECT;
  attr.insns = (uintptr_t)code;
  attr.insn_cnt = sizeof(code) / sizeof(code[0]);
  attr.license = (uintptr_t) "Dual BSD/GPL";
  return (int)syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));
}

int main(int argc, char** argv) {
  char path[4096];
  union bpf_attr attr;
  if (argc < 3) {
    fputs("usage: cgroup_allow FOLDER PROGRAM ARGUMENT…\n", stderr);
    return 2;
  }
  int program = load();
  if (program < 0) attack_fail("BPF_PROG_LOAD");
  memset(&attr, 0, sizeof(attr));
  attr.target_fd = (unsigned)open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  attr.attach_bpf_fd = (unsigned)program;
  attr.attach_type = BPF_CGROUP_INET4_CONNECT;
  attr.attach_flags = BPF_F_ALLOW_MULTI;
  if (syscall(SYS_bpf, BPF_PROG_ATTACH, &attr, sizeof(attr)) != 0) attack_fail("BPF_PROG_ATTACH");
  snprintf(path, sizeof(path), "%s/cgroup.procs", argv[1]);
  int procs = open(path, O_WRONLY | O_CLOEXEC);
  if (procs < 0 || write(procs, "0", 1) != 1) attack_fail(path);
  execv(argv[2], argv + 2);
  attack_fail(argv[2]);
}
