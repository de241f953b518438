/* SPDX-License-Identifier: GPL-2.0-only */
#include "bpf/helpers/socket.h"

char LICENSE[] SEC("license") = "GPL";

/* include/uapi/linux/in.h, in6.h and socket.h */
#define IPPROTO_IP 0
#define IPPROTO_IPV6 41
#define IP_HDRINCL 3
#define IPV6_HDRINCL 36

/* Raw sockets take the option of IPv6 at either level (net/ipv6/raw.c). */
static __always_inline bool includes_headers(int level, int name) {
  return (level == IPPROTO_IP && name == IP_HDRINCL) ||
         ((level == IPPROTO_IPV6 || level == IPPROTO_RAW) && name == IPV6_HDRINCL);
}

APART void record_included(const struct subject *who, const struct destination *to,
                           const struct judgement *judgement, struct coalescing *cells) {
  emit_connect(/*ctx=*/0, POSTERN_RECORD_RAW_SOCKET, who, to, judgement,
               description_of(who, /*here=*/true), cells);
}

/* errno of the refusal, 0 for none. */
APART int headers_included(struct sock *sk, __u32 protocol) {
  struct destination to = {
      .family = BPF_CORE_READ(sk, __sk_common.skc_family),
      .port = protocol_on_the_wire(protocol),
  };
  struct judgement judgement = {.kind = POSTERN_RECORD_RAW_SOCKET};
  struct coalescing cells = {};
  struct subject who;

  subject_read(&who, (struct task_struct *)bpf_get_current_task());
  who.network_namespace = BPF_CORE_READ(sk, __sk_common.skc_net.net, net_cookie);
  if (socket_judged(&who, &to, /*exempt=*/false, &judgement, &cells))
    record_included(&who, &to, &judgement, &cells);
  return refusal(&judgement);
}

/*
 * A raw socket of any protocol carries TCP once it is told that headers are
 * included. A program on cgroup/setsockopt would not do: the kernel copies the option
 * and locks the socket for it, 70 ns more for each setsockopt() of the host (226 where
 * it was 153), and passes over it when a 32-bit program calls.
 */
SEC("lsm/socket_setsockopt")
int BPF_PROG(judge_header_included, struct socket *socket, int level, int name, int before) {
  if (before || !includes_headers(level, name)) return before;
  struct sock *sk = BPF_CORE_READ(socket, sk);
  __u32 protocol = BPF_CORE_READ(sk, sk_protocol);
  /* The others were judged when they were made. */
  if (BPF_CORE_READ(sk, sk_type) != SOCK_RAW ||
      carries_tcp(BPF_CORE_READ(sk, __sk_common.skc_family), protocol))
    return 0;
  return lsm_answer(headers_included(sk, protocol));
}
