/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where a process comes from: copied at fork, since a parent that exits leaves its
 * child to another; read from the tasks only for what ran before the table.
 */
#ifndef POSTERN_BPF_HELPERS_ANCESTRY_H_
#define POSTERN_BPF_HELPERS_ANCESTRY_H_

#include "bpf/helpers/maps.h"

/* Generations looked at most; bpf_loop's steps are verified once. */
#define GENERATIONS_LOOKED_AT 128

/* Of the process that `task` is a thread of; 0 when there is none. */
static __always_inline struct postern_description *description_find(struct task_struct *task) {
  __u32 tgid = BPF_CORE_READ(task, tgid);
  __u64 start_time = BPF_CORE_READ(task, group_leader, start_boottime);
  struct postern_description *description = bpf_map_lookup_elem(&descriptions, &tgid);

  return description && description->head.start_time == start_time ? description : 0;
}

/*
 * `task`, whose description is `of` (0: none), as it is, or as its image that an
 * exec just replaced, with the name it had then.
 */
static __always_inline void write_ancestor(struct postern_ancestor *slot, struct task_struct *task,
                                           const struct postern_description *of, bool replaced) {
  slot->pid = BPF_CORE_READ(task, tgid);
  if (replaced && of)
    __builtin_memcpy(slot->comm, of->head.comm, sizeof(slot->comm));
  else
    BPF_CORE_READ_INTO(&slot->comm, task, group_leader, comm);
  slot->exe_bytes = 0;
  slot->exe_flags = 0;
  if (!of) return;
  __u32 bytes = of->head.exe_bytes;
  slot->exe_flags = of->head.text_flags & (POSTERN_TEXT_EXE_CUT | POSTERN_TEXT_EXE_PSEUDO);
  if (bytes > POSTERN_ANCESTOR_PATH_BYTES) slot->exe_flags |= POSTERN_TEXT_EXE_CUT;
  slot->exe_bytes = bytes > POSTERN_ANCESTOR_PATH_BYTES ? POSTERN_ANCESTOR_PATH_BYTES : bytes;
  bpf_probe_read_kernel(slot->exe, sizeof(slot->exe), of->text);
}

/*
 * Adds `task` as the newest ancestor (see write_ancestor). Past POSTERN_ANCESTORS
 * the third oldest gives way.
 */
static __always_inline void push_ancestor(struct postern_description *description,
                                          struct task_struct *task,
                                          const struct postern_description *of, bool replaced) {
  struct postern_description_head *head = &description->head;
  __u32 place = head->ancestors;

  if (BPF_CORE_READ(task, tgid) == 0) return; /* the idle task, parent of init */

  if (place >= POSTERN_ANCESTORS) {
    /* Towards lower addresses, word by word from the front: the overlap is copied rightly. */
    bpf_probe_read_kernel(&description->ancestor[POSTERN_ANCESTORS_OLDEST],
                          (POSTERN_ANCESTORS_NEWEST - 1) * sizeof(struct postern_ancestor),
                          &description->ancestor[POSTERN_ANCESTORS_OLDEST + 1]);
    place = POSTERN_ANCESTORS - 1;
    head->ancestors_omitted++;
  } else {
    head->ancestors = place + 1;
  }
  write_ancestor(&description->ancestor[place & (POSTERN_ANCESTORS - 1)], task, of, replaced);
}

struct parents_walk {
  struct task_struct *task;
  struct postern_description *description;
  __u32 generations;
};

static __always_inline struct task_struct *parent_of(struct task_struct *task) {
  struct task_struct *parent = BPF_CORE_READ(task, group_leader, real_parent);

  return BPF_CORE_READ(parent, tgid) != 0 ? parent : 0;
}

static long count_generation(__u32 index, struct parents_walk *walk) {
  struct task_struct *parent = parent_of(walk->task);

  if (!parent) return 1;
  walk->task = parent;
  walk->generations = index + 1;
  return 0;
}

/* `index` 0 is the parent: the newest, which stands last. */
static long write_generation(__u32 index, struct parents_walk *walk) {
  struct task_struct *parent = parent_of(walk->task);
  if (index >= walk->generations || !parent) return 1;

  __u32 place = walk->generations - 1 - index;
  if (walk->generations > POSTERN_ANCESTORS && place >= POSTERN_ANCESTORS_OLDEST)
    place = index < POSTERN_ANCESTORS_NEWEST ? POSTERN_ANCESTORS - 1 - index : POSTERN_ANCESTORS;
  if (place < POSTERN_ANCESTORS)
    write_ancestor(&walk->description->ancestor[place & (POSTERN_ANCESTORS - 1)], parent,
                   description_find(parent), false);
  walk->task = parent;
  return 0;
}

/* The ancestors of `task` as its parents stand now, in place of those in `description`. */
static __always_inline void ancestry_from_parents(struct postern_description *description,
                                                  struct task_struct *task) {
  struct parents_walk walk = {.task = task, .description = description};

  /* Unrolled, the walks would be long; what the copy at fork gave stays. */
  if (!postern_has_loop) return;
  bpf_loop(GENERATIONS_LOOKED_AT, count_generation, &walk, 0);
  walk.task = task;
  bpf_loop(GENERATIONS_LOOKED_AT, write_generation, &walk, 0);
  bool all = walk.generations <= POSTERN_ANCESTORS;
  description->head.ancestors = all ? walk.generations : POSTERN_ANCESTORS;
  description->head.ancestors_omitted = all ? 0 : walk.generations - POSTERN_ANCESTORS;
}

#endif /* POSTERN_BPF_HELPERS_ANCESTRY_H_ */
