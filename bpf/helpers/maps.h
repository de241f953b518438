/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Every map there is. All are pinned, and outlive the agent, but those that
 * kNotPinned names (agent/sensor/program_set.cc): rooms, and what is empty.
 * Sizes of `processes` and `descriptions` are set by the agent (threads-max).
 */
#ifndef POSTERN_BPF_HELPERS_MAPS_H_
#define POSTERN_BPF_HELPERS_MAPS_H_

#include "bpf/abi/counters.h"
#include "bpf/abi/identity.h"
#include "bpf/abi/interpreter.h"
#include "bpf/abi/policy.h"
#include "bpf/abi/state.h"
#include "bpf/helpers/kernel.h"

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct postern_process);
} processes __weak SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct postern_description);
} descriptions __weak SEC(".maps");

/* Zeros, as many as the widest value there is; entries are made and cleared from them. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct postern_description);
} nothing __weak SEC(".maps");

/*
 * Where exec walks the path when `descriptions` has no room. Per CPU is enough:
 * the kernel runs no second instance of a tracing program on top of a first.
 */
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct postern_description);
} exec_room __weak SEC(".maps");

/* Room for the walk of iter/task_file; the agent runs one at a time. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct postern_description);
} identify_room __weak SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, POSTERN_INTERPRETERS);
  __type(key, struct postern_interpreter_name);
  __type(value, struct postern_interpreter);
} interpreters __weak SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, POSTERN_LONG_OPTIONS);
  __type(key, struct postern_long_option);
  __type(value, __u32);
} interpreter_options __weak SEC(".maps");

/*
 * Where exec looks for the script; per CPU as exec_room is. What the loops over text
 * remember lies here too, and not on the stack: the verifier would follow each of its values.
 */
struct script_room {
  __u32 state;  /* enum reading_state */
  __u32 takes;  /* what the next argument is, or the rest of this: enum postern_option */
  __u32 begin;  /* of the script in args, or of a path */
  __u32 name;   /* bytes of the long option */
  __u32 found;  /* what was looked for, whole */
  __u32 none;   /* there is no script */
  __u32 length; /* of a path's component so far */
  __u32 dots;   /* at its beginning */
  struct postern_interpreter_name interpreter;
  struct postern_long_option option;
  char args[POSTERN_ARGS_BYTES + POSTERN_SCRIPT_BYTES]; /* the last ones are slack */
  /* The working folder up to POSTERN_SCRIPT_BYTES, the script from there on; then slack. */
  char path[3 * POSTERN_SCRIPT_BYTES];
};

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct script_room);
} script_room __weak SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct postern_config);
} config __weak SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, __u64);
} sequence __weak SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, POSTERN_COUNTERS);
  __type(key, __u32);
  __type(value, __u64);
} counters __weak SEC(".maps");

/* The budgets of four uids at their widest usual record, 1 KiB. */
#define POSTERN_RING_DENIED_BYTES (8 << 20)
#define POSTERN_RING_OTHER_BYTES (4 << 20)

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, POSTERN_RING_DENIED_BYTES);
} ring_denied __weak SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, POSTERN_RING_OTHER_BYTES);
} ring_other __weak SEC(".maps");

/* 1: the reader sleeps, and the next record of ring_other is to wake it. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, __u32);
} reader_sleeps __weak SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct postern_watched_ports);
} watched_ports __weak SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 65536);
  __type(key, struct postern_local_address);
  __type(value, __u32);
} local_addresses __weak SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct postern_policy_current);
} policy_current __weak SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, POSTERN_POLICY_SLOTS);
  __type(key, __u32);
  __type(value, struct postern_policy_header);
} policy_headers __weak SEC(".maps");

/* Inner maps give sizes: clang leaves types behind __array undefined where nothing else uses them.
 */
struct postern_index_map {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 1);
  __uint(key_size, sizeof(struct postern_policy_key));
  __uint(value_size, sizeof(struct postern_rule_set));
};

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
  __uint(max_entries, POSTERN_POLICY_SLOTS);
  __type(key, __u32);
  __array(values, struct postern_index_map);
} policy_index __weak SEC(".maps");

struct postern_destinations_map {
  __uint(type, BPF_MAP_TYPE_LPM_TRIE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 1);
  __uint(key_size, sizeof(struct postern_prefix));
  __uint(value_size, sizeof(struct postern_destination_rules));
};

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
  __uint(max_entries, POSTERN_POLICY_SLOTS);
  __type(key, __u32);
  __array(values, struct postern_destinations_map);
} policy_destinations __weak SEC(".maps");

struct postern_units_map {
  __uint(type, BPF_MAP_TYPE_LPM_TRIE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 1);
  __uint(key_size, sizeof(struct postern_unit_key));
  __uint(value_size, sizeof(struct postern_rule_set));
};

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
  __uint(max_entries, POSTERN_POLICY_SLOTS);
  __type(key, __u32);
  __array(values, struct postern_units_map);
} policy_units __weak SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, POSTERN_HITS);
  __type(key, __u32);
  __type(value, __u64);
} policy_hits __weak SEC(".maps");

/*
 * Room for the path of a cgroup while one thread connects: too wide for the stack,
 * and connect can be preempted, so that per CPU would not do. No thread comes twice
 * at a time; an entry is gone when the verdict is there.
 */
struct unit_room {
  struct postern_unit_key key;
  char slack[POSTERN_UNIT_BYTES]; /* the verifier does not see that a name ends in time */
};

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 4096);
  __type(key, __u64);
  __type(value, struct unit_room);
} unit_rooms __weak SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, POSTERN_LIMIT_ENTRIES);
  __type(key, struct postern_limit_key);
  __type(value, struct postern_limit_use);
} limits __weak SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_SK_STORAGE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, int);
  __type(value, struct postern_redirected);
} redirected __weak SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct postern_canary);
} canary __weak SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, __u32);
} repeats_active __weak SEC(".maps");

struct postern_repeats_map {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, POSTERN_REPEAT_ENTRIES);
  __uint(key_size, sizeof(struct postern_repeat_key));
  __uint(value_size, sizeof(struct postern_repeat_count));
};

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
  __uint(max_entries, POSTERN_REPEAT_TABLES);
  __type(key, __u32);
  __array(values, struct postern_repeats_map);
} repeats __weak SEC(".maps");

struct postern_spread_map {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, POSTERN_SPREAD_ENTRIES);
  __uint(key_size, sizeof(struct postern_spread_key));
  __uint(value_size, sizeof(struct postern_repeat_count));
};

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
  __uint(max_entries, POSTERN_REPEAT_TABLES);
  __type(key, __u32);
  __array(values, struct postern_spread_map);
} spread __weak SEC(".maps");

/*
 * Sockets that were found and recorded, by their cookie, and at which look each was
 * last there; under cookie 0, which no socket has, the number of the look.
 */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, POSTERN_KNOWN_SOCKETS);
  __type(key, __u64);
  __type(value, __u32);
} known_sockets __weak SEC(".maps");

static __always_inline void *only_element(void *map) {
  __u32 zero = 0;

  return bpf_map_lookup_elem(map, &zero);
}

/* An entry of zeros, not on the stack; false where there is one, or no room for one. */
static __always_inline bool entry_make(void *map, const void *key) {
  const void *zeros = only_element(&nothing);

  return zeros && bpf_map_update_elem(map, key, zeros, BPF_NOEXIST) == 0;
}

static __always_inline void count(__u32 counter, __u64 by) {
  __u64 *cell = bpf_map_lookup_elem(&counters, &counter);

  if (cell) __sync_fetch_and_add(cell, by);
}

#endif /* POSTERN_BPF_HELPERS_MAPS_H_ */
