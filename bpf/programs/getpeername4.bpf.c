/* SPDX-License-Identifier: GPL-2.0-only */
#include "bpf/helpers/redirect.h"

char LICENSE[] SEC("license") = "GPL";

/* A redirected socket shows the address that its program asked for. */
SEC("cgroup/getpeername4")
int show_peer4(struct bpf_sock_addr *ctx) {
  const struct postern_redirected *asked = redirected_from(ctx);

  if (asked && ctx->user_ip4 == LOOPBACK4) {
    __u32 address;
    __builtin_memcpy(&address, &asked->destination[12], 4);
    ctx->user_ip4 = address;
  }
  return 1;
}
