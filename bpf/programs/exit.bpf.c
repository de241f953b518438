/* SPDX-License-Identifier: GPL-2.0-only */
#include "bpf/helpers/identity.h"

char LICENSE[] SEC("license") = "GPL";

/* After do_exit has taken the thread off signal->live. */
SEC("tp_btf/sched_process_exit")
int BPF_PROG(track_exit, struct task_struct *task) {
  process_exit(task);
  return 0;
}
