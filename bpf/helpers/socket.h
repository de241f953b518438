/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Sockets that can send what no connect() is asked for, when they are made. The
 * policy's `raw_sockets` judges them, not its rules: they have no destination.
 */
#ifndef POSTERN_BPF_HELPERS_SOCKET_H_
#define POSTERN_BPF_HELPERS_SOCKET_H_

#include "bpf/helpers/emit.h"

/* include/uapi/asm-generic/errno.h */
#define EPERM 1
#define ECONNREFUSED 111
#define EHOSTUNREACH 113

/* include/uapi/linux/in.h and in6.h */
#define IPPROTO_HOPOPTS 0
#define IPPROTO_TCP 6
#define IPPROTO_ROUTING 43
#define IPPROTO_FRAGMENT 44
#define IPPROTO_DSTOPTS 60
#define IPPROTO_MH 135
#define IPPROTO_RAW 255

static __always_inline const struct postern_policy_header *policy_in_force(void) {
  const struct postern_policy_current *current = only_element(&policy_current);
  if (!current) return 0;
  __u32 slot = current->slot;
  const struct postern_policy_header *policy = bpf_map_lookup_elem(&policy_headers, &slot);

  return policy && policy->generation != 0 ? policy : 0;
}

static __always_inline __u8 verdict_on_socket(const struct postern_policy_header *policy,
                                              bool exempt) {
  if (exempt || !(policy->switches & POSTERN_POLICY_DENIES_RAW_SOCKETS))
    return POSTERN_VERDICT_ALLOWED;
  return policy->enforce ? POSTERN_VERDICT_DENIED : POSTERN_VERDICT_WOULD_DENY;
}

/* Diagnosis and DHCP are root's: without a frame of their own they end. */
static __always_inline bool is_host_root(const struct subject *who) {
  return who->uid == 0 && who->euid == 0 &&
         !(who->flags & (POSTERN_CONNECT_CONTAINER | POSTERN_CONNECT_USER_NAMESPACE));
}

/*
 * Judges the socket of `judgement->kind` that `who` makes or holds. True when it gets
 * a record of its own. Fails open where there is no policy; the agent attaches only
 * with one.
 */
static __always_inline bool socket_judged(struct subject *who, const struct destination *to,
                                          bool exempt, struct judgement *judgement,
                                          struct coalescing *cells) {
  const struct postern_policy_header *policy = policy_in_force();

  judgement->verdict = POSTERN_VERDICT_ALLOWED;
  if (!policy) return false;
  judgement->time = bpf_ktime_get_boot_ns();
  judgement->generation = policy->generation;
  judgement->deny_errno = policy->deny_errno;
  judgement->rule = POSTERN_RULE_DEFAULT;
  judgement->verdict = verdict_on_socket(policy, exempt);
  FORGET(who->flags);
  FORGET(*judgement);
  return wants_record(who, to, judgement, judgement->time, cells);
}

/* errno of the refusal, 0 for none. */
static __always_inline int refusal(const struct judgement *judgement) {
  return judgement->verdict == POSTERN_VERDICT_DENIED ? judgement->deny_errno : 0;
}

/* What the kernel writes into the header: socket(2) takes up to IPPROTO_MPTCP, 262. */
static __always_inline __u8 protocol_on_the_wire(__u32 protocol) { return protocol & 0xff; }

/*
 * Whether raw sockets of this protocol carry TCP without being told so. In IPv6 it may
 * stand behind any extension header (RFC 8200, section 4; RFC 6275).
 */
static __always_inline bool carries_tcp(__u32 family, __u32 protocol) {
  switch (protocol_on_the_wire(protocol)) {
    case IPPROTO_TCP:
    case IPPROTO_RAW:
      return true;
    case IPPROTO_HOPOPTS:
    case IPPROTO_ROUTING:
    case IPPROTO_FRAGMENT:
    case IPPROTO_DSTOPTS:
    case IPPROTO_MH:
      return family == AF_INET6;
    default:
      return false;
  }
}

/* As a security hook answers: the verifier wants to see that it is an error. */
static __always_inline int lsm_answer(int error) {
  switch (error) {
    case 0:
      return 0;
    case EHOSTUNREACH:
      return -EHOSTUNREACH;
    case ECONNREFUSED:
      return -ECONNREFUSED;
    default:
      return -EPERM;
  }
}

#endif /* POSTERN_BPF_HELPERS_SOCKET_H_ */
