/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Connects that go to this host's own mail server in place of where the program asked,
 * and what their sockets say of it later. A redirect happens once, when a connect is
 * judged: it cannot come back to itself.
 */
#ifndef POSTERN_BPF_HELPERS_REDIRECT_H_
#define POSTERN_BPF_HELPERS_REDIRECT_H_

#include "bpf/abi/policy.h"
#include "bpf/helpers/destination.h"
#include "bpf/helpers/subject.h"

#define LOOPBACK4 bpf_htonl(0x7f000001)
#define LOOPBACK6_LAST bpf_htonl(1)
#define MAPPED_WORD bpf_htonl(0xffff) /* the third of ::ffff:a.b.c.d */

static __always_inline bool set_has(const struct postern_rule_set *set, __u64 rule) {
  return set->word[rule / 64] >> (rule % 64) & 1;
}

/*
 * Whether a redirect by `rule` (whose bound the verifier sees) may be done. What may not
 * fails closed:
 * - elsewhere than in the initial network namespace loopback is another, and has no
 *   mail server, or one that is not the host's;
 * - a rule that names nobody could redirect the mail server itself, whose mail would
 *   come back to it and bounce. The rule before it that allows the server wants a
 *   process that was seen to start: so does this.
 */
static __always_inline bool may_redirect(const struct postern_policy_header *policy, __u64 rule,
                                         const struct subject *who) {
  if (!postern_has_socket_storage) return false;
  if (who->network_namespace != bpf_get_netns_cookie(0)) return false;
  if (who->process && who->process->source == POSTERN_IDENTITY_EXEC) return true;
  return !set_has(&policy->any_user, rule) || !set_has(&policy->any_group, rule) ||
         !set_has(&policy->any_unit, rule);
}

/* Who will be asked for its peer: of MPTCP it is a subflow that connects. */
static __always_inline void *socket_of_program(struct bpf_sock *connects) {
  void *whole = postern_has_mptcp ? bpf_skc_to_mptcp_sock(connects) : 0;

  return whole ? whole : connects;
}

/* What an earlier connect of the same socket asked for. */
static __always_inline void redirect_forget(struct bpf_sock_addr *ctx) {
  struct bpf_sock *sk = ctx->sk;

  if (postern_has_socket_storage && sk) bpf_sk_storage_delete(&redirected, socket_of_program(sk));
}

/*
 * False where the socket has no room for it (net.core.optmem_max, which its owner can
 * use up): a program that could see through the redirect is denied. Fails closed.
 */
static __always_inline bool redirect_remember(struct bpf_sock_addr *ctx,
                                              const struct destination *to) {
  struct bpf_sock *sk = ctx->sk;
  if (!postern_has_socket_storage || !sk) return false;
  struct postern_redirected *asked =
      bpf_sk_storage_get(&redirected, socket_of_program(sk), 0, BPF_SK_STORAGE_GET_F_CREATE);

  if (!asked) {
    count(POSTERN_COUNTER_REDIRECT_NO_ROOM, 1);
    return false;
  }
  __builtin_memcpy(asked->destination, to->prefix.address, 16);
  asked->port = to->port;
  return true;
}

/* What the socket asked for, where its peer can be the one it was redirected to. */
static __always_inline const struct postern_redirected *redirected_from(struct bpf_sock_addr *ctx) {
  struct bpf_sock *sk = ctx->sk;
  if (!sk) return 0;
  const struct postern_redirected *asked = bpf_sk_storage_get(&redirected, sk, 0, 0);
  if (!asked || asked->port != bpf_ntohs(ctx->user_port)) return 0;

  /* While its port was not watched, nobody saw whether it connected elsewhere. */
  const struct postern_watched_ports *ports = only_element(&watched_ports);
  __u16 port = asked->port;
  return ports && (ports->word[port / 64] >> (port % 64) & 1) ? asked : 0;
}

#endif /* POSTERN_BPF_HELPERS_REDIRECT_H_ */
