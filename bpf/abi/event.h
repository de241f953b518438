/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What travels through the two rings. docs/event-abi.md is its document.
 *
 * Every record begins with struct postern_record. A reader skips a kind it does
 * not know by the ring's own length, and refuses a version newer than its own.
 */
#ifndef POSTERN_BPF_ABI_EVENT_H_
#define POSTERN_BPF_ABI_EVENT_H_

#include "bpf/abi/base.h"
#include "bpf/abi/identity.h"

enum postern_record_kind {
  POSTERN_RECORD_CONNECT = 1, /* struct postern_connect, then its texts */
  POSTERN_RECORD_REPEATS = 2, /* struct postern_repeats */
  /* A socket that can send what no connect() is asked for. As CONNECT, without a
   * destination or a rule: family says which, port the IP protocol. */
  POSTERN_RECORD_RAW_SOCKET = 3,
  /* Likewise, of AF_PACKET: port is the Ethernet protocol. */
  POSTERN_RECORD_PACKET_SOCKET = 4,
  /* A connection from before the hooks, found open: as CONNECT, by who holds it. */
  POSTERN_RECORD_EARLIER_CONNECTION = 5,
};

struct postern_record {
  __u16 kind;     /* enum postern_record_kind */
  __u16 version;  /* POSTERN_ABI_VERSION of the writer */
  __u32 bytes;    /* of this record that are used, this header included */
  __u64 time;     /* ns on the boot clock (CLOCK_BOOTTIME) */
  __u64 sequence; /* per boot, over both rings; taken once the record has its place */
};
POSTERN_LAYOUT(struct postern_record, 24);

enum postern_verdict {
  POSTERN_VERDICT_ALLOWED = 1,
  POSTERN_VERDICT_DENIED = 2,
  POSTERN_VERDICT_WOULD_DENY = 3,
  POSTERN_VERDICT_REDIRECTED = 4,
  POSTERN_VERDICT_WOULD_REDIRECT = 5,
  POSTERN_VERDICT_OVER_LIMIT = 6,
};

/* rule of a record that no rule matched: the policy's default decided. */
#define POSTERN_RULE_DEFAULT 0xffff

enum postern_connect_flags {
  POSTERN_CONNECT_CONTAINER = 1 << 0,      /* pid or cgroup namespace is not the initial one */
  POSTERN_CONNECT_USER_NAMESPACE = 1 << 1, /* credentials are not of the initial user namespace */
  POSTERN_CONNECT_NO_DESCRIPTION = 1 << 2, /* the table of descriptions was full */
  POSTERN_CONNECT_EXE_TRUSTED = 1 << 3,
  POSTERN_CONNECT_LOCAL = 1 << 4,        /* the destination is one of this host's own */
  POSTERN_CONNECT_EXE_UNLINKED = 1 << 5, /* the file had no name left at exec */
  /* Of the agent's canary: denied whatever the policy says. `rule` means nothing. */
  POSTERN_CONNECT_CANARY = 1 << 10,
};

/*
 * One attempt, recorded before its outcome. What follows it, without gaps, in
 * the numbers and lengths that `description` gives: the ancestors (struct
 * postern_ancestor each), then the text of struct postern_description.
 */
struct postern_connect {
  struct postern_record record;
  __u32 tgid;
  __u32 tid;
  __u32 ppid;
  __u32 uid; /* this and the following as the initial user namespace has them */
  __u32 gid;
  __u32 euid;
  __u32 egid;
  __u32 loginuid;          /* 0xffffffff: none */
  __u32 started_as;        /* real uid at exec; meaningful where source is EXEC */
  __u32 user_namespace;    /* inode number of the namespace */
  __u64 cgroup;            /* id of the cgroup v2 */
  __u64 network_namespace; /* cookie */
  __u64 socket;            /* cookie */
  __u8 destination[16];    /* network order; IPv4 (v4-mapped too) as ::ffff:a.b.c.d */
  __u16 port;              /* host order */
  __u8 family;             /* AF_INET or AF_INET6 as shown: v4-mapped is AF_INET */
  __u8 protocol;           /* IPPROTO_*, 255 for those past it (MPTCP is 262) */
  __u8 verdict;            /* enum postern_verdict */
  __u8 source;             /* enum postern_identity_source */
  __u16 rule;              /* index into the policy's rules, or POSTERN_RULE_DEFAULT */
  __u32 generation;
  __u32 flags; /* enum postern_connect_flags */
  char comm[POSTERN_COMM_BYTES];
  struct postern_description_head description;
};
POSTERN_LAYOUT(struct postern_connect, 216);

/* The widest a connect record can be. */
#define POSTERN_CONNECT_BYTES_MAX \
  (sizeof(struct postern_connect) + sizeof(struct postern_description))

/*
 * Attempts that were counted instead of recorded one by one, flushed as an
 * event of its own. `first` is the sequence of the whole record that stands for
 * them: same process and destination; or, with POSTERN_REPEATS_SPREAD, same
 * uid, binary and port only ("destinations not kept"). 0: no such record.
 */
enum postern_repeats_flags {
  POSTERN_REPEATS_SPREAD = 1 << 0,
};

struct postern_repeats {
  struct postern_record record; /* time is that of the first counted attempt */
  __u64 last_time;              /* ns on the boot clock */
  __u64 count;                  /* attempts beyond those with a record of their own */
  __u64 first;
  __u8 destination[16]; /* zero with POSTERN_REPEATS_SPREAD */
  __u32 tgid;           /* zero with POSTERN_REPEATS_SPREAD, unless all came from one process */
  __u32 uid;
  __u32 generation;
  __u32 flags; /* enum postern_repeats_flags */
  __u16 port;
  __u8 family; /* zero with POSTERN_REPEATS_SPREAD */
  __u8 verdict;
  __u16 rule;
  __u16 kind; /* enum postern_record_kind of what was counted; 0: CONNECT */
};
POSTERN_LAYOUT(struct postern_repeats, 88);

#endif /* POSTERN_BPF_ABI_EVENT_H_ */
