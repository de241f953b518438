/* SPDX-License-Identifier: GPL-2.0-only */
#include "bpf/helpers/identity.h"

char LICENSE[] SEC("license") = "GPL";

/* Before the child first runs (kernel_clone), so that it is known when it does. */
SEC("tp_btf/sched_process_fork")
int BPF_PROG(track_fork, struct task_struct *parent, struct task_struct *child) {
  process_fork(parent, child);
  return 0;
}
