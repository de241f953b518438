/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The table of processes. An entry is made at exec, copied at fork, and leaves
 * with the last thread. What is not in it is unknown, and matches no rule that
 * names a binary: every failure here fails closed.
 */
#ifndef POSTERN_BPF_HELPERS_IDENTITY_H_
#define POSTERN_BPF_HELPERS_IDENTITY_H_

#include "bpf/helpers/describe.h"

static __always_inline __u64 task_start_time(struct task_struct *task) {
  return BPF_CORE_READ(task, group_leader, start_boottime);
}

/* 0 when the table does not know the process. */
static __always_inline struct postern_process *process_find(__u32 tgid, __u64 start_time) {
  struct postern_process *process = bpf_map_lookup_elem(&processes, &tgid);

  return process && process->start_time == start_time ? process : 0;
}

/*
 * At exec, in the context of the task, alone in its thread group.
 *
 * The two trackers that run beside each other during an upgrade both come here:
 * self_exec_id tells the second that this exec was taken.
 */
static __always_inline void process_exec(struct task_struct *task, struct linux_binprm *bprm) {
  __u32 tgid = BPF_CORE_READ(task, tgid);
  __u64 start_time = task_start_time(task);
  __u32 exec_id = BPF_CORE_READ(task, self_exec_id);
  struct postern_process *before = process_find(tgid, start_time);
  bool execed_here = before && (before->flags & POSTERN_PROCESS_EXECED_HERE);

  if (execed_here && before->source == POSTERN_IDENTITY_EXEC && before->self_exec_id == exec_id)
    return;

  struct exe_facts facts = {};
  struct postern_description *description = description_get(tgid, start_time);
  if (description && execed_here) {
    /* The image that goes is an ancestor too; one that was only inherited by fork is there. */
    push_ancestor(description, task, description, true);
  }
  /* Without a description the identity is still whole. */
  if (!description) description = only_element(&exec_room);
  if (description) {
    description_clear(description);
    description->head.exec_time = bpf_ktime_get_boot_ns();
    BPF_CORE_READ_INTO(&description->head.comm, task, comm);
    describe_exe(description, BPF_CORE_READ(bprm, file), &facts);
    describe_script(description, bprm, task, &facts);
    describe_args(description, task);
  }

  struct postern_process process = {
      .start_time = start_time,
      .exe = facts.path,
      .script = facts.script,
      .exe_device = facts.device,
      .started_as = BPF_CORE_READ(task, cred, uid.val),
      .self_exec_id = exec_id,
      .source = POSTERN_IDENTITY_EXEC,
      .flags = facts.flags | POSTERN_PROCESS_EXECED_HERE,
  };
  if (bpf_map_update_elem(&processes, &tgid, &process, BPF_ANY)) {
    count(POSTERN_COUNTER_PROCESSES_FULL, 1);
    /* What it was before the exec must not vouch for what it is now. */
    bpf_map_delete_elem(&processes, &tgid);
  }
}

static __always_inline void process_fork(struct task_struct *parent, struct task_struct *child) {
  __u32 tgid = BPF_CORE_READ(child, tgid);
  if (tgid != BPF_CORE_READ(child, pid)) return; /* a thread */

  __u64 start_time = BPF_CORE_READ(child, start_boottime);
  __u32 parent_tgid = BPF_CORE_READ(parent, tgid);
  const struct postern_process *of = process_find(parent_tgid, task_start_time(parent));
  if (of) {
    struct postern_process process = *of;
    process.start_time = start_time;
    process.flags &= ~POSTERN_PROCESS_EXECED_HERE;
    if (bpf_map_update_elem(&processes, &tgid, &process, BPF_ANY))
      count(POSTERN_COUNTER_PROCESSES_FULL, 1);
  }
  describe_fork(tgid, start_time, parent);
}

/* For each thread that exits; the last one takes the entry along. */
static __always_inline void process_exit(struct task_struct *task) {
  __u32 tgid = BPF_CORE_READ(task, tgid);

  if (BPF_CORE_READ(task, signal, live.counter) != 0) return;
  bpf_map_delete_elem(&processes, &tgid);
  bpf_map_delete_elem(&descriptions, &tgid);
}

/*
 * Describes a process that was not seen at exec from its mm, which it can
 * forge. The arguments follow when it connects, in its own context.
 */
static __always_inline struct postern_description *describe_from_mm(struct task_struct *task,
                                                                    struct exe_facts *facts) {
  __u32 tgid = BPF_CORE_READ(task, tgid);
  struct task_struct *leader = BPF_CORE_READ(task, group_leader);
  struct file *file = BPF_CORE_READ(task, mm, exe_file);
  struct postern_description *description = describe_fork(
      tgid, BPF_CORE_READ(leader, start_boottime), BPF_CORE_READ(leader, real_parent));

  if (!description) return 0;
  description_clear(description);
  if (file) describe_exe(description, file, facts);
  return description;
}

/* For each task that runs when the table is new. */
static __always_inline void process_seed(struct task_struct *task) {
  __u32 tgid = BPF_CORE_READ(task, tgid);
  struct exe_facts facts = {};

  if (tgid != BPF_CORE_READ(task, pid) || (BPF_CORE_READ(task, flags) & PF_KTHREAD)) return;
  __u64 start_time = BPF_CORE_READ(task, start_boottime);
  struct postern_process *known = bpf_map_lookup_elem(&processes, &tgid);
  if (known && known->start_time == start_time) return;

  describe_from_mm(task, &facts);
  struct postern_process process = {
      .start_time = start_time,
      .exe = facts.path,
      .exe_device = facts.device,
      .started_as = BPF_CORE_READ(task, cred, uid.val),
      .self_exec_id = BPF_CORE_READ(task, self_exec_id),
      .source = POSTERN_IDENTITY_SEEDED,
      .flags = facts.flags | POSTERN_PROCESS_EXECED_HERE,
  };
  /* NOEXIST: an exec that came in between knows better. */
  if (bpf_map_update_elem(&processes, &tgid, &process, BPF_NOEXIST) != 0 &&
      !bpf_map_lookup_elem(&processes, &tgid))
    count(POSTERN_COUNTER_PROCESSES_FULL, 1);
  /* Its exit may have passed between finding it and adding it. */
  process_exit(task);
}

/*
 * For each task again, once all are described: they come by pid, and a parent may
 * have a higher one than its child.
 */
static __always_inline void process_seed_ancestors(struct task_struct *task) {
  __u32 tgid = BPF_CORE_READ(task, tgid);

  if (tgid != BPF_CORE_READ(task, pid)) return;
  const struct postern_process *process = process_find(tgid, task_start_time(task));
  /* Forked or exec'd since: it has the ancestors it had then. */
  if (!process || process->source != POSTERN_IDENTITY_SEEDED ||
      !(process->flags & POSTERN_PROCESS_EXECED_HERE))
    return;
  struct postern_description *description = description_find(task);
  if (description) ancestry_from_parents(description, task);
}

#endif /* POSTERN_BPF_HELPERS_IDENTITY_H_ */
