/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Sockets that a process holds, found by iter/task_file in every network namespace.
 * Where several hold one, the first that is walked past is named: that with the
 * lowest pid.
 */
#ifndef POSTERN_BPF_HELPERS_HELD_H_
#define POSTERN_BPF_HELPERS_HELD_H_

#include "bpf/helpers/socket.h"

/* 0 where the file is no socket. Read directly: helpers want the kernel's own type. */
static __always_inline struct sock *held_socket(struct file *file) {
  if (!file) return 0;
  struct socket *socket = bpf_sock_from_file(file);

  return socket ? socket->sk : 0;
}

static __always_inline void holder_read(struct subject *who, struct task_struct *task,
                                        struct sock *sk) {
  subject_read(who, task);
  who->cgroup = BPF_CORE_READ(task, cgroups, dfl_cgrp, kn, id);
  who->network_namespace = BPF_CORE_READ(sk, __sk_common.skc_net.net, net_cookie);
}

/*
 * True when no look before this one saw it. Without room for it in the table it is
 * new each time: told too often rather than not at all.
 */
static __always_inline bool is_new_socket(__u64 cookie) {
  __u64 zero = 0;
  const __u32 *look = bpf_map_lookup_elem(&known_sockets, &zero);
  __u32 *seen = bpf_map_lookup_elem(&known_sockets, &cookie);
  __u32 now = look ? *look : 0;

  if (seen) {
    *seen = now;
    return false;
  }
  bpf_map_update_elem(&known_sockets, &cookie, &now, BPF_ANY);
  return true;
}

static __always_inline __u16 packet_protocol(struct sock *sk) {
  struct packet_sock *packet = (struct packet_sock *)sk;

  if (!bpf_core_field_exists(packet->num)) return 0;
  return bpf_ntohs(BPF_CORE_READ(packet, num));
}

/* include/net/tcp_states.h */
#define TCP_CLOSE 7
#define TCP_LISTEN 10

/*
 * Whether it is a connection to a watched port that this side opened. One that was
 * accepted has the backlog of the socket that listened, and no other has any.
 */
static __always_inline bool is_watched_connection(struct sock *sk, struct destination *to) {
  const struct postern_watched_ports *ports = only_element(&watched_ports);
  __u16 family = BPF_CORE_READ(sk, __sk_common.skc_family);
  __u8 state = BPF_CORE_READ(sk, __sk_common.skc_state);
  __u16 port = bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport));

  if ((family != AF_INET && family != AF_INET6) || BPF_CORE_READ(sk, sk_type) != SOCK_STREAM)
    return false;
  /* Older verifiers lose the bound of what is read by CO-RE. */
  __u64 number = port;
  IN_REGISTER(number);
  if (!ports || !(ports->word[number / 64 & (POSTERN_PORT_WORDS - 1)] >> (number % 64) & 1))
    return false;
  if (state == TCP_CLOSE || state == TCP_LISTEN || BPF_CORE_READ(sk, sk_max_ack_backlog) != 0)
    return false;
  if (family == AF_INET) {
    destination_from_ipv4(to, BPF_CORE_READ(sk, __sk_common.skc_daddr));
  } else {
    __u32 word[4];
    BPF_CORE_READ_INTO(&word, sk, __sk_common.skc_v6_daddr.in6_u.u6_addr32);
    destination_from_ipv6(to, word);
  }
  to->prefix.bits = 128;
  to->port = port;
  to->local = destination_is_local(to);
  return true;
}

/*
 * What becomes of a connection from before. It passed then; where the policy resets
 * such, it is judged as one that its holder would open now, so that nothing which
 * only an exec proves speaks for it. False where no policy is in place.
 */
static __always_inline bool earlier_judged(const struct subject *who, const struct destination *to,
                                           struct judgement *judgement) {
  const struct postern_policy_header *policy = policy_in_force();
  if (!policy) return false;

  if (policy->switches & POSTERN_POLICY_RESETS_EARLIER) return judge_standing(who, to, judgement);
  judgement->generation = policy->generation;
  judgement->rule = POSTERN_RULE_DEFAULT;
  judgement->verdict = POSTERN_VERDICT_ALLOWED;
  return true;
}

#endif /* POSTERN_BPF_HELPERS_HELD_H_ */
