/* SPDX-License-Identifier: GPL-2.0-only */
#include "bpf/helpers/connect.h"

char LICENSE[] SEC("license") = "GPL";

APART int watched_connect6(struct bpf_sock_addr *ctx) {
  __u32 word[4] = {ctx->user_ip6[0], ctx->user_ip6[1], ctx->user_ip6[2], ctx->user_ip6[3]};
  struct destination to = {};

  destination_from_ipv6(&to, word);
  int outcome = connect_judged(ctx, &to);
  if (outcome != CONNECT_REDIRECTED) return outcome;
  bool mapped = to.family == AF_INET;
  ctx->user_ip6[0] = 0;
  ctx->user_ip6[1] = 0;
  ctx->user_ip6[2] = mapped ? MAPPED_WORD : 0;
  ctx->user_ip6[3] = mapped ? LOOPBACK4 : LOOPBACK6_LAST;
  return CONNECT_PASSES;
}

/* IPv6, and IPv4 by way of v4-mapped addresses. */
SEC("cgroup/connect6")
int judge_connect6(struct bpf_sock_addr *ctx) {
  return is_watched(ctx) ? watched_connect6(ctx) : CONNECT_PASSES;
}
