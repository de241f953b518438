/* SPDX-License-Identifier: GPL-2.0-only */
#include "bpf/helpers/emit.h"

char LICENSE[] SEC("license") = "GPL";

/*
 * A cell that became a record is empty, so that flushing again, also after the
 * agent died in between, counts nothing twice. One whose ring is full stays as it
 * is, and a byte to the reader says so.
 */
static __always_inline void flush(struct bpf_iter__bpf_map_elem *ctx, struct postern_repeats *event,
                                  struct postern_repeat_count *counted) {
  const char kept = 1;

  event->record.time = counted->first_time;
  event->last_time = counted->last_time;
  event->count = counted->count;
  event->first = counted->first;
  if (emit_repeats(event))
    counted->count = 0;
  else
    bpf_seq_write(ctx->meta->seq, &kept, sizeof(kept));
}

SEC("iter/bpf_map_elem")
int flush_repeats(struct bpf_iter__bpf_map_elem *ctx) {
  const struct postern_repeat_key *key = ctx->key;
  struct postern_repeat_count *counted = ctx->value;

  if (!key || !counted || counted->count == 0) return 0;
  struct postern_repeats event = {
      .tgid = key->tgid,
      .uid = key->uid,
      .generation = key->generation,
      .port = key->port,
      .rule = key->rule,
      .family = key->family,
      .verdict = key->verdict,
      .kind = key->kind,
  };
  __builtin_memcpy(event.destination, key->destination, 16);
  flush(ctx, &event, counted);
  return 0;
}

SEC("iter/bpf_map_elem")
int flush_spread(struct bpf_iter__bpf_map_elem *ctx) {
  const struct postern_spread_key *key = ctx->key;
  struct postern_repeat_count *counted = ctx->value;

  if (!key || !counted || counted->count == 0) return 0;
  struct postern_repeats event = {
      .uid = key->uid,
      .generation = key->generation,
      .flags = POSTERN_REPEATS_SPREAD,
      .port = key->port,
      .rule = key->rule,
      .verdict = key->verdict,
      .kind = key->kind,
  };
  flush(ctx, &event, counted);
  return 0;
}
