/* SPDX-License-Identifier: GPL-2.0-only */
#include "bpf/helpers/connect.h"

char LICENSE[] SEC("license") = "GPL";

/* IPv6, and IPv4 by way of v4-mapped addresses. */
SEC("cgroup/connect6")
int judge_connect6(struct bpf_sock_addr *ctx) {
  struct destination to = {};

  if (!is_watched(ctx)) return CONNECT_PASSES;
  __u32 word[4] = {ctx->user_ip6[0], ctx->user_ip6[1], ctx->user_ip6[2], ctx->user_ip6[3]};
  destination_from_ipv6(&to, word);
  return connect_judged(ctx, &to);
}
