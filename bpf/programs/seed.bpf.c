/* SPDX-License-Identifier: GPL-2.0-only */
#include "bpf/helpers/identity.h"

char LICENSE[] SEC("license") = "GPL";

SEC("iter/task")
int seed_processes(struct bpf_iter__task *ctx) {
  struct task_struct *task = ctx->task;

  if (task) process_seed(task);
  return 0;
}

SEC("iter/task")
int seed_ancestors(struct bpf_iter__task *ctx) {
  struct task_struct *task = ctx->task;

  if (task) process_seed_ancestors(task);
  return 0;
}
