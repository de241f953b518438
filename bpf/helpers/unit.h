/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The cgroup that a process is in, by its path from the root of the tree: what lies
 * below a delegated cgroup can take any name, but not leave it.
 */
#ifndef POSTERN_BPF_HELPERS_UNIT_H_
#define POSTERN_BPF_HELPERS_UNIT_H_

#include "bpf/helpers/maps.h"

#define UNIT_DEPTH 64 /* a deeper cgroup has no path of 256 bytes that means anything */

struct unit_walk {
  struct cgroup *cgroup;
  struct unit_room *room;
  __u32 level;
  __u32 bytes; /* of the path so far */
  __u32 whole; /* 0 until the cgroup itself is reached */
};

static long unit_step(__u32 index, struct unit_walk *walk) {
  struct cgroup *cgroup = walk->cgroup, *ancestor = 0;

  if (index >= walk->level) {
    walk->whole = 1;
    return 1;
  }
  const char *ancestors = (const char *)cgroup + bpf_core_field_offset(cgroup->ancestors);
  __u64 level = index + 1;
  if (bpf_probe_read_kernel(&ancestor, sizeof(ancestor), ancestors + level * sizeof(ancestor)))
    return 1;
  const char *name = BPF_CORE_READ(ancestor, kn, name);

  __u64 offset = walk->bytes;
  IN_REGISTER(offset);
  if (offset >= POSTERN_UNIT_BYTES - 1) return 1;
  walk->room->key.path[offset] = '/';
  char *to = walk->room->key.path + offset + 1;
  IN_REGISTER(to);
  long bytes = bpf_probe_read_kernel_str(to, POSTERN_UNIT_BYTES, name);
  if (bytes <= 1) return 1;
  walk->bytes = offset + bytes;
  return 0;
}

/* Whether this kernel lets us read a cgroup's path. */
static __always_inline bool has_unit_paths(void) {
  return postern_has_loop && bpf_core_field_exists(((struct cgroup *)0)->ancestors);
}

/* Writes the path of the task's cgroup as a key of the trie; false where it has none. */
static __always_inline bool unit_read(struct task_struct *task, struct unit_room *room) {
  struct cgroup *cgroup = BPF_CORE_READ(task, cgroups, dfl_cgrp);
  struct unit_walk walk = {.cgroup = cgroup, .room = room};

  if (!has_unit_paths()) return false;
  walk.level = BPF_CORE_READ(cgroup, level);
  bpf_loop(UNIT_DEPTH, unit_step, &walk, 0);
  if (!walk.whole || walk.bytes >= POSTERN_UNIT_BYTES) return false;
  /* The root's own path is "/"; its NUL is there. */
  if (walk.level == 0) {
    room->key.path[0] = '/';
    walk.bytes = 1;
  }
  room->key.bits = (walk.bytes + 1) * 8;
  return true;
}

/* An empty room for this thread, 0 where there is none; to be left again. */
static __always_inline struct unit_room *unit_room_enter(__u64 thread) {
  if (!entry_make(&unit_rooms, &thread)) return 0;
  return bpf_map_lookup_elem(&unit_rooms, &thread);
}

static __always_inline void unit_room_leave(__u64 thread) {
  bpf_map_delete_elem(&unit_rooms, &thread);
}

#endif /* POSTERN_BPF_HELPERS_UNIT_H_ */
