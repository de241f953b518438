/* SPDX-License-Identifier: GPL-2.0-only */
#include "bpf/helpers/identity.h"

char LICENSE[] SEC("license") = "GPL";

/* Past the point of no return: mm, credentials and the file are the new ones. */
SEC("tp_btf/sched_process_exec")
int BPF_PROG(track_exec, struct task_struct *task, int old_pid, struct linux_binprm *bprm) {
  process_exec(task, bprm);
  return 0;
}
