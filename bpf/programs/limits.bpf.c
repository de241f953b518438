/* SPDX-License-Identifier: GPL-2.0-only */
#include "bpf/helpers/limit.h"

char LICENSE[] SEC("license") = "GPL";

SEC("iter/bpf_map_elem")
int forget_limits(struct bpf_iter__bpf_map_elem *ctx) {
  const struct postern_limit_key *key = ctx->key;
  const struct postern_limit_use *use = ctx->value;

  if (key && use) limit_forget(*key, use);
  return 0;
}
