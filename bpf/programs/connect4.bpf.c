/* SPDX-License-Identifier: GPL-2.0-only */
#include "bpf/helpers/connect.h"

char LICENSE[] SEC("license") = "GPL";

SEC("cgroup/connect4")
int judge_connect4(struct bpf_sock_addr *ctx) {
  struct destination to = {};

  if (!is_watched(ctx)) return CONNECT_PASSES;
  destination_from_ipv4(&to, ctx->user_ip4);
  return connect_judged(ctx, &to);
}
