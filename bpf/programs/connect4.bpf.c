/* SPDX-License-Identifier: GPL-2.0-only */
#include "bpf/helpers/connect.h"

char LICENSE[] SEC("license") = "GPL";

APART int watched_connect4(struct bpf_sock_addr *ctx) {
  struct destination to = {};

  destination_from_ipv4(&to, ctx->user_ip4);
  int outcome = connect_judged(ctx, &to);
  if (outcome != CONNECT_REDIRECTED) return outcome;
  ctx->user_ip4 = LOOPBACK4;
  return CONNECT_PASSES;
}

SEC("cgroup/connect4")
int judge_connect4(struct bpf_sock_addr *ctx) {
  return is_watched(ctx) ? watched_connect4(ctx) : CONNECT_PASSES;
}
