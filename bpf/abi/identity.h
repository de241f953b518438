/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The table of processes: who runs, as seen when it was exec'd.
 *
 * Two hashes, both keyed by tgid and checked by the start time of the thread
 * group's leader: `processes` decides and is never evicted; `descriptions` only
 * describes and may overflow without changing a verdict.
 */
#ifndef POSTERN_BPF_ABI_IDENTITY_H_
#define POSTERN_BPF_ABI_IDENTITY_H_

#include "bpf/abi/base.h"

/* How an identity came to be known. Only EXEC satisfies exe, started_as and script. */
enum postern_identity_source {
  POSTERN_IDENTITY_MM = 0,     /* not in the table: read from mm, which a process can forge */
  POSTERN_IDENTITY_SEEDED = 1, /* was running when the pins were first made */
  POSTERN_IDENTITY_EXEC = 2,   /* seen at exec, or forked from one that was */
};

enum postern_process_flags {
  /* The file was owned by root and writable by root alone when it was exec'd. */
  POSTERN_PROCESS_EXE_TRUSTED = 1 << 0,
  /* This process itself called exec (it is not just the fork of one that did). */
  POSTERN_PROCESS_EXECED_HERE = 1 << 1,
  /* The file had no name left at exec: memfd, or unlinked. */
  POSTERN_PROCESS_EXE_UNLINKED = 1 << 2,
  /* The image runs no script, by its command line. Neither this nor an id: it may run any. */
  POSTERN_PROCESS_NO_SCRIPT = 1 << 3,
};

/* Value of `processes`: what a verdict may depend on. */
struct postern_process {
  __u64 start_time; /* ns on the boot clock: group_leader->start_boottime */
  struct postern_path_id exe;
  struct postern_path_id script; /* of its path as text; zero: none, or not known */
  __u32 exe_device;              /* s_dev as the kernel has it: major << 20 | minor */
  __u32 started_as;              /* real uid at exec, in the initial user namespace */
  __u32 self_exec_id;            /* low half of task->self_exec_id: one exec is taken once */
  __u16 source;                  /* enum postern_identity_source */
  __u16 flags;                   /* enum postern_process_flags */
};
POSTERN_LAYOUT(struct postern_process, 56);

/*
 * A path is kept as the kernel walks it, from the file to the root of its file
 * system: "smtp/sbin/postfix/lib/usr/". So a long one is cut at the root's end,
 * and what names the file is never lost. A component is taken only where
 * NAME_MAX + 1 bytes are left, so cuts begin at 768 bytes. A cut path has no id.
 */
#define POSTERN_PATH_BYTES 1024
#define POSTERN_NAME_BYTES 256
/* Dentries walked at most. Shorter without bpf_loop (before Linux 5.17): there
 * every step is verified anew; 2 walks of 48 steps cost 781,000 instructions on 6.1. */
#define POSTERN_PATH_COMPONENTS 128
#define POSTERN_PATH_COMPONENTS_UNROLLED 16
#define POSTERN_PATH_BYTES_UNROLLED 256 /* a longer path has no id there */

/* argv: this much of its beginning and of its end. A long argument hides nothing after it. */
#define POSTERN_ARGS_HEAD_BYTES 512
#define POSTERN_ARGS_TAIL_BYTES 256
#define POSTERN_ARGS_BYTES (POSTERN_ARGS_HEAD_BYTES + POSTERN_ARGS_TAIL_BYTES)
/* The script's path, from a #! exec or from argv. A longer one has no id. */
#define POSTERN_SCRIPT_BYTES 256

/*
 * Ancestors kept: the two oldest and the six newest, so that neither a double
 * fork nor a chain of execs washes the origin away.
 */
#define POSTERN_ANCESTORS_OLDEST 2
#define POSTERN_ANCESTORS_NEWEST 6
#define POSTERN_ANCESTORS (POSTERN_ANCESTORS_OLDEST + POSTERN_ANCESTORS_NEWEST)
#define POSTERN_ANCESTOR_PATH_BYTES 136

enum postern_text_flags {
  POSTERN_TEXT_EXE_CUT = 1 << 0,
  POSTERN_TEXT_ARGS_UNREADABLE = 1 << 1, /* probe_read_user failed */
  POSTERN_TEXT_SCRIPT_CUT = 1 << 2,
  POSTERN_TEXT_EXE_PSEUDO = 1 << 3, /* a file outside any tree: memfd */
  /* argv was read when the process connected, not at exec: it had the time to rewrite it. */
  POSTERN_TEXT_ARGS_LATE = 1 << 4,
};

struct postern_ancestor {
  __u32 pid;
  __u16 exe_bytes; /* of exe; at most POSTERN_ANCESTOR_PATH_BYTES */
  __u16 exe_flags; /* enum postern_text_flags: EXE_CUT, EXE_PSEUDO */
  char comm[POSTERN_COMM_BYTES];
  char exe[POSTERN_ANCESTOR_PATH_BYTES]; /* as above: from the file to the root */
};
POSTERN_LAYOUT(struct postern_ancestor, 160);

/*
 * The part of a description that every record carries whole. Lengths count
 * bytes of the texts; no text is NUL-terminated.
 */
struct postern_description_head {
  __u64 start_time; /* as in struct postern_process */
  __u64 exec_time;  /* ns on the boot clock; 0: not seen */
  __u64 exe_inode;
  __u64 exe_change_time; /* ns since the epoch; evidence, not identity */
  __u32 exe_device;
  __u32 exe_generation;
  __u32 exe_owner; /* uid */
  __u16 exe_mode;
  __u16 text_flags; /* enum postern_text_flags */
  __u32 args_total; /* bytes of the whole argv, of which args holds head and tail */
  __u16 exe_bytes;
  __u16 script_bytes;
  __u16 args_head_bytes;
  __u16 args_tail_bytes;   /* 0 when args_head holds all of it */
  __u16 ancestors;         /* how many of the ancestors are set, oldest first */
  __u16 ancestors_omitted; /* generations left out between the oldest two and the newest six */
  char comm[POSTERN_COMM_BYTES]; /* at exec; it may have changed since */
};
POSTERN_LAYOUT(struct postern_description_head, 80);

/* exe, script, args head and args tail, one after the other without gaps. */
#define POSTERN_TEXT_BYTES (POSTERN_PATH_BYTES + POSTERN_SCRIPT_BYTES + POSTERN_ARGS_BYTES)

/* Value of `descriptions`. */
struct postern_description {
  struct postern_description_head head;
  struct postern_ancestor ancestor[POSTERN_ANCESTORS];
  char text[POSTERN_TEXT_BYTES];
};
POSTERN_LAYOUT(struct postern_description, 3408);

#endif /* POSTERN_BPF_ABI_IDENTITY_H_ */
