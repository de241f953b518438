/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * A compiled policy as the kernel judges by it.
 *
 * Each dimension of a rule (port, user, …) is a lookup that yields a set of
 * rules, one bit a rule; the verdict is the lowest bit in the intersection of
 * all sets, because the first match wins. A rule that does not name a dimension
 * has its bit in every set of it. So the cost is that of the lookups, whatever
 * the number of rules.
 *
 * A generation is built aside in a free slot of `policy_headers`,
 * `policy_index`, `policy_destinations` and `policy_units`, and put in place by one
 * update of `policy_current`.
 */
#ifndef POSTERN_BPF_ABI_POLICY_H_
#define POSTERN_BPF_ABI_POLICY_H_

#include <linux/bpf.h>

#include "bpf/abi/base.h"

#define POSTERN_RULES 256
#define POSTERN_RULE_WORDS (POSTERN_RULES / 64)
#define POSTERN_POLICY_SLOTS 4

struct postern_rule_set {
  __u64 word[POSTERN_RULE_WORDS]; /* rule r is bit r % 64 of word r / 64 */
};
POSTERN_LAYOUT(struct postern_rule_set, 32);

enum postern_dimension {
  POSTERN_DIMENSION_PORT = 1,
  POSTERN_DIMENSION_USER = 2,
  POSTERN_DIMENSION_GROUP = 3,
  POSTERN_DIMENSION_EXE = 4,
  POSTERN_DIMENSION_STARTED_AS = 5,
  /* Rules that a group keeps from matching: a process has many, so they are taken away last. */
  POSTERN_DIMENSION_NOT_GROUP = 6,
  POSTERN_DIMENSION_UNIT = 7, /* in policy_units, not in the index */
  POSTERN_DIMENSION_SCRIPT = 8,
};

/*
 * Key of `policy_index`. value: the port, uid, gid, for EXE the device, or zero for
 * SCRIPT; path is zero for all but these two.
 */
struct postern_policy_key {
  __u32 dimension;
  __u32 value;
  struct postern_path_id path;
};
POSTERN_LAYOUT(struct postern_policy_key, 24);

/*
 * Key of `policy_destinations`, a trie that knows longest prefixes only: the
 * sets of a prefix therefore hold the rules of every prefix that covers it too.
 * IPv4 is ::ffff:a.b.c.d, so its prefix lengths begin at 96.
 */
struct postern_prefix {
  __u32 bits;
  __u8 address[16]; /* network order */
};
POSTERN_LAYOUT(struct postern_prefix, 20);

/* Value of `policy_destinations`. */
struct postern_destination_rules {
  struct postern_rule_set named;    /* by this prefix, or naming none */
  struct postern_rule_set excluded; /* by a `not:`, whatever else names the address */
};
POSTERN_LAYOUT(struct postern_destination_rules, 64);

/*
 * Key of `policy_units`, a trie as well; its values are sets. path: of a cgroup,
 * from the root of cgroup v2, such as "/system.slice/postfix.service". The NUL at
 * its end belongs to the key of one cgroup, and not to that of all that begin so.
 */
#define POSTERN_UNIT_BYTES 256 /* a trie takes no more; a longer path is in no unit */
struct postern_unit_key {
  __u32 bits;
  char path[POSTERN_UNIT_BYTES];
};
POSTERN_LAYOUT(struct postern_unit_key, 260);

/*
 * REDIRECT: to this host's own mail server; the compiler lets it be said of port 25
 * alone. What goes to this host already passes as it is.
 */
enum postern_action {
  POSTERN_ACTION_ALLOW = 1,
  POSTERN_ACTION_DENY = 2,
  POSTERN_ACTION_REDIRECT = 3,
};

/*
 * How often one user may pass by a rule: `burst` at once, then one each
 * `interval`. The rule's name, hashed, says across generations which it is.
 */
struct postern_limit {
  __u64 rule;
  __u64 interval; /* ns; 0: the rule has no limit */
  __u64 burst;    /* ns: that many intervals */
};
POSTERN_LAYOUT(struct postern_limit, 24);

/* What a policy decides beside its rules. */
enum postern_policy_switches {
  POSTERN_POLICY_DENIES_RAW_SOCKETS = 1 << 0, /* else their creation is only recorded */
  POSTERN_POLICY_RESETS_EARLIER = 1 << 1,     /* connections from before, judged as if new */
};

/*
 * Value of `policy_headers`. The any_* sets hold the rules that do not name
 * that dimension: they apply where the lookup finds nothing. The unproven_* sets
 * stand for them where nothing proves what the process is: without the allow
 * rules that exclude somebody, since it may be just them.
 */
struct postern_policy_header {
  __u32 generation; /* counts from 1; 0: slot not in use */
  __u32 rules;
  __u32 enforce;        /* 0: a denial becomes would_deny and passes */
  __u32 deny_errno;     /* positive: EPERM, ECONNREFUSED, EHOSTUNREACH */
  __u32 default_action; /* enum postern_action */
  __u32 dimensions;     /* bit d set: some rule names dimension d */
  struct postern_rule_set any_port;
  struct postern_rule_set any_user;
  struct postern_rule_set any_group;
  struct postern_rule_set any_exe;
  struct postern_rule_set unproven_exe;
  struct postern_rule_set any_started_as;
  struct postern_rule_set unproven_started_as;
  struct postern_rule_set any_unit;
  struct postern_rule_set unproven_unit;
  struct postern_rule_set any_script;
  struct postern_rule_set unproven_script;
  struct postern_rule_set any_destination;
  /* Rules with `destination: local`; they join when the address is this host's own. */
  struct postern_rule_set local_destination;
  /* Rules with `not: {destination: local}`; they leave when it is. */
  struct postern_rule_set not_local_destination;
  /*
   * All but the allow rules: a user named by these matches when real or effective uid
   * does; else both must.
   */
  struct postern_rule_set deny_rules;
  /* Rules that may match a process inside, and one outside, a container. */
  struct postern_rule_set in_container;
  struct postern_rule_set outside_container;
  /* Rules that may match credentials of a user namespace other than the initial one. */
  struct postern_rule_set in_user_namespace;
  __u8 action[POSTERN_RULES]; /* enum postern_action */
  struct postern_limit limit[POSTERN_RULES];
  __u32 switches; /* enum postern_policy_switches */
  __u32 padding;
};
POSTERN_LAYOUT(struct postern_policy_header, 7008);

/*
 * Key and value of `limits`: what of a limit one user has used up. All of a user
 * namespace count as one: as the user who made it, or as the namespace where root did.
 */
struct postern_limit_key {
  __u64 rule;
  __u32 uid;            /* 0 for a namespace that root made */
  __u32 user_namespace; /* its inode number; 0: the initial one, or a user's own */
};
POSTERN_LAYOUT(struct postern_limit_key, 16);

struct postern_limit_use {
  struct bpf_spin_lock lock;
  __u32 padding;
  __u64 used_up_to; /* ns on the boot clock; past: nothing is used up */
};
POSTERN_LAYOUT(struct postern_limit_use, 16);

#define POSTERN_LIMIT_ENTRIES 16384

/* Value of `local_addresses`, keyed by the 16 bytes of an address: present or not. */
struct postern_local_address {
  __u8 address[16];
};
POSTERN_LAYOUT(struct postern_local_address, 16);

/*
 * Cells of `policy_hits`: attempts that each rule decided, and last those that none
 * matched, of the generation in a slot; cleared before another one is built there.
 */
#define POSTERN_HITS_OF_SLOT (POSTERN_RULES + 1)
#define POSTERN_HITS (POSTERN_POLICY_SLOTS * POSTERN_HITS_OF_SLOT)

/*
 * Value of `watched_ports`, one bit a port: looked at before anything else, so
 * that a connect to any other port costs nothing. Between two generations it
 * holds the ports of both; the generation's own ports decide.
 */
#define POSTERN_PORT_WORDS (65536 / 64)
struct postern_watched_ports {
  __u64 word[POSTERN_PORT_WORDS];
};
POSTERN_LAYOUT(struct postern_watched_ports, 8192);

#endif /* POSTERN_BPF_ABI_POLICY_H_ */
