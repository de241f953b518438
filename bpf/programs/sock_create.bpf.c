/* SPDX-License-Identifier: GPL-2.0-only */
#include "bpf/helpers/socket.h"

char LICENSE[] SEC("license") = "GPL";

#define CREATION_PASSES 1
#define CREATION_REFUSED 0

APART void record_raw(struct bpf_sock *ctx, const struct subject *who, const struct destination *to,
                      const struct judgement *judgement, struct coalescing *cells) {
  emit_connect(ctx, POSTERN_RECORD_RAW_SOCKET, who, to, judgement,
               description_of(who, /*here=*/true), cells);
}

APART int created_raw(struct bpf_sock *ctx) {
  struct destination to = {.family = ctx->family, .port = protocol_on_the_wire(ctx->protocol)};
  struct judgement judgement = {.kind = POSTERN_RECORD_RAW_SOCKET};
  struct coalescing cells = {};
  struct subject who;

  subject_read(&who, (struct task_struct *)bpf_get_current_task());
  who.network_namespace = bpf_get_netns_cookie(ctx);
  if (socket_judged(&who, &to, /*exempt=*/false, &judgement, &cells))
    record_raw(ctx, &who, &to, &judgement, &cells);
  int error = refusal(&judgement);
  if (!error) return CREATION_PASSES;
  /* Without it the caller sees EPERM, whatever the policy says. */
  if (postern_has_set_retval) bpf_set_retval(-error);
  return CREATION_REFUSED;
}

/* For each socket of IPv4 and IPv6 that a program makes. */
SEC("cgroup/sock_create")
int judge_sock_create(struct bpf_sock *ctx) {
  if (ctx->type != SOCK_RAW || !carries_tcp(ctx->family, ctx->protocol)) return CREATION_PASSES;
  return created_raw(ctx);
}
