/* SPDX-License-Identifier: GPL-2.0-only */
#include "bpf/helpers/redirect.h"

char LICENSE[] SEC("license") = "GPL";

/* IPv6, and IPv4 by way of v4-mapped addresses: each was rewritten to its own loopback. */
SEC("cgroup/getpeername6")
int show_peer6(struct bpf_sock_addr *ctx) {
  const struct postern_redirected *asked = redirected_from(ctx);
  __u32 word[4] = {ctx->user_ip6[0], ctx->user_ip6[1], ctx->user_ip6[2], ctx->user_ip6[3]};

  if (!asked || word[0] != 0 || word[1] != 0) return 1;
  bool mapped = word[2] == MAPPED_WORD && word[3] == LOOPBACK4;
  if (!mapped && (word[2] != 0 || word[3] != LOOPBACK6_LAST)) return 1;
  __builtin_memcpy(word, asked->destination, 16);
  ctx->user_ip6[0] = word[0];
  ctx->user_ip6[1] = word[1];
  ctx->user_ip6[2] = word[2];
  ctx->user_ip6[3] = word[3];
  return 1;
}
