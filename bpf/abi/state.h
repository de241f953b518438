/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Pinned state beside tables and policy: keys, switches, coalescing. */
#ifndef POSTERN_BPF_ABI_STATE_H_
#define POSTERN_BPF_ABI_STATE_H_

#include "bpf/abi/base.h"

/* Value of `config`, filled as the pins are made and first used. */
struct postern_config {
  __u64 path_key[2]; /* of the SipHash behind struct postern_path_id; both zero: not set yet */
  __u32 seeded;      /* 1: the table of processes knows those that ran before */
  __u32 looked_at_sockets; /* 1: those that were there before the pins are recorded */
};
POSTERN_LAYOUT(struct postern_config, 24);

/* Value of `policy_current`: the one switch. */
struct postern_policy_current {
  __u32 slot;
  __u32 generation; /* 0: no policy yet */
};
POSTERN_LAYOUT(struct postern_policy_current, 8);

/*
 * Coalescing. Attempts are counted in the active one of two pairs of tables;
 * to flush, the agent makes the other pair active, waits until no program can
 * still be writing to the first, and has an iterator write its counts as
 * records. So no count is ever lost between reading and deleting.
 */
#define POSTERN_REPEAT_TABLES 2
/*
 * Whole records a uid may cause per flush. Past it, its attempts are counted in
 * the spread table: neither a swarm of short-lived processes nor a list of
 * destinations can fill the ring or the table of repeats.
 */
#define POSTERN_WHOLE_RECORDS_PER_UID 2048
/* The same while more than half of the ring is taken: some uids must not push others out. */
#define POSTERN_WHOLE_RECORDS_PER_UID_CROWDED 64
/* Processes × destinations per flush: the budgets of eight uids. */
#define POSTERN_REPEAT_ENTRIES (8 * POSTERN_WHOLE_RECORDS_PER_UID)
/* Users × binaries × ports per flush. Past it, attempts are counted as lost. */
#define POSTERN_SPREAD_ENTRIES 16384

/*
 * What must be the same for an attempt to be the repeat of another: whatever the
 * record says of it that a process can change between two attempts.
 */
struct postern_repeat_key {
  __u64 start_time;
  __u64 cgroup;
  __u64 network_namespace;
  __u32 tgid;
  __u32 self_exec_id; /* an exec makes another program of a process */
  __u32 uid;
  __u32 euid;
  __u32 gid;
  __u32 egid;
  __u32 flags; /* enum postern_connect_flags: it may enter a namespace in between */
  __u32 generation;
  __u8 destination[16];
  __u16 port;
  __u16 rule;
  __u8 family;
  __u8 verdict;
  __u16 kind; /* enum postern_record_kind; 0: CONNECT */
};
POSTERN_LAYOUT(struct postern_repeat_key, 80);

/* All but uid zero: the uid's budget of whole records, in `wholes`. */
struct postern_spread_key {
  struct postern_path_id exe;
  __u32 exe_device;
  __u32 uid;
  __u32 generation;
  __u16 port;
  __u16 rule;
  __u16 verdict;
  __u16 kind; /* as in struct postern_repeat_key */
  __u16 padding[2];
};
POSTERN_LAYOUT(struct postern_spread_key, 40);

/* Value of both tables. */
struct postern_repeat_count {
  __u64 first_time; /* of the first attempt counted here, ns on the boot clock; 0: none yet */
  __u64 last_time;
  __u64 count;
  __u64 first; /* sequence of the whole record that stands for them */
  __u32 wholes;
  __u32 reserved;
};
POSTERN_LAYOUT(struct postern_repeat_count, 40);

/*
 * Value of `canary`: the one process whose every connect to a watched port is denied,
 * in monitor mode and past all rules. Neither another process under its pid nor what
 * it may exec is it. A start time of zero: nobody is. While it is written a reader may
 * see parts of two: nobody is the one process with the start time of the other.
 */
struct postern_canary {
  __u64 start_time; /* as in struct postern_process, like the others */
  __u32 tgid;
  __u32 self_exec_id;
};
POSTERN_LAYOUT(struct postern_canary, 16);

/* Sockets that were found and are known at a time; a host has some. */
#define POSTERN_KNOWN_SOCKETS 4096

/* A connection that find_earlier_connections wants reset. */
struct postern_held_socket {
  __u32 pid;
  __u32 fd;
  __u64 cookie;
};
POSTERN_LAYOUT(struct postern_held_socket, 16);

/* What iter/task_file says of the agent's own open file. */
struct postern_identified_file {
  __u32 fd;
  __u32 device;
  struct postern_path_id path;
};
POSTERN_LAYOUT(struct postern_identified_file, 24);

/* Value of `redirected`, of each socket that was: what the program asked for. */
struct postern_redirected {
  __u8 destination[16]; /* network order; IPv4 as ::ffff:a.b.c.d */
  __u16 port;           /* host order; the rewritten destination has the same */
  __u16 padding[3];
};
POSTERN_LAYOUT(struct postern_redirected, 24);

#endif /* POSTERN_BPF_ABI_STATE_H_ */
