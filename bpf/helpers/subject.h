/* SPDX-License-Identifier: GPL-2.0-only */
/* Who connects, as far as the verdict depends on it. */
#ifndef POSTERN_BPF_HELPERS_SUBJECT_H_
#define POSTERN_BPF_HELPERS_SUBJECT_H_

#include "bpf/abi/event.h"
#include "bpf/helpers/identity.h"

struct subject {
  struct task_struct *task;
  const struct cred *cred; /* subjective: io_uring's workers carry their submitter's */
  const struct postern_process *process; /* 0: unknown to the table */
  __u64 start_time;
  __u64 cgroup;
  __u64 network_namespace; /* cookie */
  __u32 tgid;
  __u32 self_exec_id;
  __u32 uid;
  __u32 euid;
  __u32 gid;
  __u32 egid;
  __u32 flags; /* enum postern_connect_flags, as far as they are about the process */
};

/* A pid or cgroup namespace of its own is what every container runtime gives. */
static __always_inline bool in_container(struct task_struct *task) {
  struct cgroup_namespace *cgroups = BPF_CORE_READ(task, nsproxy, cgroup_ns);

  if (BPF_CORE_READ(task, thread_pid, level) != 0) return true;
  /* A task that exits has no nsproxy left, and cannot connect. */
  return cgroups && BPF_CORE_READ(cgroups, ns.inum) != PROC_CGROUP_INIT_INO;
}

/* Deeper than the kernel lets them nest (create_user_ns, kernel/user_namespace.c). */
#define USER_NAMESPACES_NESTED 33

/* Who answers for a process. */
struct account {
  __u32 uid;
  __u32 user_namespace; /* the outermost but the initial one, where root made it; else 0 */
};

/*
 * The process's own user in the initial user namespace. In another one anybody has as
 * many uids as were mapped into it (subuid(5)): there it is who made the outermost.
 */
static __always_inline struct account account_of(const struct subject *who) {
  struct account account = {.uid = who->uid};
  const struct cred *cred = who->cred;

  if (!(who->flags & POSTERN_CONNECT_USER_NAMESPACE)) return account;
  struct user_namespace *outermost = BPF_CORE_READ(cred, user_ns);
#pragma clang loop unroll(disable)
  for (int i = 0; i < USER_NAMESPACES_NESTED; i++) {
    if (BPF_CORE_READ(outermost, level) <= 1) break;
    outermost = BPF_CORE_READ(outermost, parent);
  }
  account.uid = BPF_CORE_READ(outermost, owner.val);
  if (account.uid == 0) account.user_namespace = BPF_CORE_READ(outermost, ns.inum);
  return account;
}

/* Nobody where the agent has not said who; fails closed for the canary itself alone. */
static __always_inline bool is_canary(const struct subject *who) {
  const struct postern_canary *registered = only_element(&canary);

  return registered && registered->start_time != 0 && registered->start_time == who->start_time &&
         registered->tgid == who->tgid && registered->self_exec_id == who->self_exec_id;
}

/* All of the current task but its network namespace, which the hook knows. (Of
 * another task, an iterator says the cgroup too.) */
static __always_inline void subject_read(struct subject *subject, struct task_struct *task) {
  const struct cred *cred = BPF_CORE_READ(task, cred);

  subject->task = task;
  subject->cred = cred;
  subject->tgid = BPF_CORE_READ(task, tgid);
  subject->start_time = task_start_time(task);
  subject->self_exec_id = BPF_CORE_READ(task, self_exec_id);
  subject->process = process_find(subject->tgid, subject->start_time);
  subject->uid = BPF_CORE_READ(cred, uid.val);
  subject->euid = BPF_CORE_READ(cred, euid.val);
  subject->gid = BPF_CORE_READ(cred, gid.val);
  subject->egid = BPF_CORE_READ(cred, egid.val);
  subject->cgroup = bpf_get_current_cgroup_id();
  subject->flags = 0;
  if (in_container(task)) subject->flags |= POSTERN_CONNECT_CONTAINER;
  if (BPF_CORE_READ(cred, user_ns, level) != 0) subject->flags |= POSTERN_CONNECT_USER_NAMESPACE;
  if (is_canary(subject)) subject->flags |= POSTERN_CONNECT_CANARY;
  if (!subject->process) {
    count(POSTERN_COUNTER_UNKNOWN_PROCESS, 1);
  } else if (subject->process->flags & POSTERN_PROCESS_EXE_TRUSTED) {
    subject->flags |= POSTERN_CONNECT_EXE_TRUSTED;
  }
}

#endif /* POSTERN_BPF_HELPERS_SUBJECT_H_ */
