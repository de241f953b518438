/* SPDX-License-Identifier: GPL-2.0-only */
/* One connect(), judged and recorded before its outcome. */
#ifndef POSTERN_BPF_HELPERS_CONNECT_H_
#define POSTERN_BPF_HELPERS_CONNECT_H_

#include "bpf/helpers/emit.h"

#define CONNECT_PASSES 1
#define CONNECT_REFUSED 0
#define CONNECT_REDIRECTED 2 /* the program's own: the kernel knows only the two above */

/*
 * All that a connect to any other port costs: what judges is APART, so that its stack
 * and code are not touched. 42 ns by bpf_stats, 55 in one function, where an empty
 * program shows 35; the rest is one load from a map.
 */
static __always_inline bool is_watched(struct bpf_sock_addr *ctx) {
  const struct postern_watched_ports *ports = only_element(&watched_ports);
  __u16 port = bpf_ntohs(ctx->user_port);

  /* getaddrinfo(host, 25) connects datagram sockets to order addresses: no mail. */
  return ports && (ports->word[port / 64] >> (port % 64) & 1) && ctx->type == SOCK_STREAM;
}

/* APART, as judge() is: their stacks need not fit beside each other. */
APART void record_connect(struct bpf_sock_addr *ctx, const struct subject *who,
                          const struct destination *to, const struct judgement *judgement,
                          struct coalescing *cells) {
  emit_connect(ctx, /*kind=*/0, who, to, judgement, description_of(who, /*here=*/true), cells);
}

static __always_inline int connect_judged(struct bpf_sock_addr *ctx, struct destination *to) {
  struct judgement judgement = {.time = bpf_ktime_get_boot_ns()};
  struct coalescing cells = {};
  struct subject who;

  redirect_forget(ctx);
  to->prefix.bits = 128;
  to->port = bpf_ntohs(ctx->user_port);
  to->local = destination_is_local(to);
  FORGET(*to);
  subject_read(&who, (struct task_struct *)bpf_get_current_task());
  who.network_namespace = bpf_get_netns_cookie(ctx);
  FORGET(who.flags);
  /* Fails open where there is no policy; the agent attaches only with one. */
  if (!judge(&who, to, &judgement)) return CONNECT_PASSES;
  FORGET(judgement);
  if (judgement.verdict == POSTERN_VERDICT_REDIRECTED && !redirect_remember(ctx, to))
    judgement.verdict = POSTERN_VERDICT_DENIED;

  const bool of_canary = who.flags & POSTERN_CONNECT_CANARY;
  count(of_canary ? POSTERN_COUNTER_CANARIES : POSTERN_COUNTER_VERDICT + judgement.verdict, 1);
  /* Each of a canary has a record of its own: that is what it is for. */
  if (of_canary || wants_record(&who, to, &judgement, judgement.time, &cells))
    record_connect(ctx, &who, to, &judgement, &cells);

  if (judgement.verdict == POSTERN_VERDICT_REDIRECTED) return CONNECT_REDIRECTED;
  if (judgement.verdict != POSTERN_VERDICT_DENIED &&
      judgement.verdict != POSTERN_VERDICT_OVER_LIMIT)
    return CONNECT_PASSES;
  /* Without it the caller sees EPERM, whatever the policy says. */
  if (postern_has_set_retval) bpf_set_retval(-(int)judgement.deny_errno);
  return CONNECT_REFUSED;
}

#endif /* POSTERN_BPF_HELPERS_CONNECT_H_ */
