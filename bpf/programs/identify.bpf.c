/* SPDX-License-Identifier: GPL-2.0-only */
#include "bpf/helpers/describe.h"

char LICENSE[] SEC("license") = "GPL";

/*
 * Says of every open file of the reading process where it stands, by the same
 * walk and hash that exec uses; so that the policy and the table agree on file
 * systems whose stat(2) shows another device (btrfs, overlayfs).
 */
SEC("iter/task_file")
int identify_files(struct bpf_iter__task_file *ctx) {
  struct task_struct *task = ctx->task;
  struct file *file = ctx->file;
  struct postern_description *room = only_element(&identify_room);
  struct exe_facts facts = {};

  if (!task || !file || !room) return 0;
  if (BPF_CORE_READ(task, tgid) != bpf_get_current_pid_tgid() >> 32) return 0;
  description_clear(room);
  describe_exe(room, file, &facts);
  struct postern_identified_file found = {
      .fd = ctx->fd,
      .device = facts.device,
      .path = facts.path,
  };
  bpf_seq_write(ctx->meta->seq, &found, sizeof(found));
  return 0;
}
