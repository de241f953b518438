/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * SipHash-2-4 with 128 bits of result (Aumasson and Bernstein, 2012), over the
 * zero-padded words of a path and its length. It is keyed, so nobody can search for a
 * path that collides with an allowed one. Kernel and agent both hash by this.
 */
#ifndef POSTERN_BPF_ABI_SIPHASH_H_
#define POSTERN_BPF_ABI_SIPHASH_H_

#include "bpf/abi/base.h"

struct siphash {
  __u64 v0, v1, v2, v3;
};

#define SIPHASH_INLINE static inline __attribute__((always_inline))

SIPHASH_INLINE __u64 siphash_rotate_left(__u64 word, int by) {
  return (word << by) | (word >> (64 - by));
}

SIPHASH_INLINE void siphash_round(struct siphash *state) {
  state->v0 += state->v1;
  state->v2 += state->v3;
  state->v1 = siphash_rotate_left(state->v1, 13) ^ state->v0;
  state->v3 = siphash_rotate_left(state->v3, 16) ^ state->v2;
  state->v0 = siphash_rotate_left(state->v0, 32);
  state->v2 += state->v1;
  state->v0 += state->v3;
  state->v1 = siphash_rotate_left(state->v1, 17) ^ state->v2;
  state->v3 = siphash_rotate_left(state->v3, 21) ^ state->v0;
  state->v2 = siphash_rotate_left(state->v2, 32);
}

SIPHASH_INLINE struct siphash siphash_begin(__u64 key0, __u64 key1) {
  struct siphash state = {key0 ^ 0x736f6d6570736575ULL, key1 ^ 0x646f72616e646f6dULL ^ 0xee,
                          key0 ^ 0x6c7967656e657261ULL, key1 ^ 0x7465646279746573ULL};
  return state;
}

SIPHASH_INLINE void siphash_word(struct siphash *state, __u64 word) {
  state->v3 ^= word;
  siphash_round(state);
  siphash_round(state);
  state->v0 ^= word;
}

SIPHASH_INLINE struct postern_path_id siphash_end(struct siphash state, __u64 bytes) {
  struct postern_path_id id;

  siphash_word(&state, bytes);
  state.v2 ^= 0xee;
  for (int i = 0; i < 4; i++) siphash_round(&state);
  id.high = state.v0 ^ state.v1 ^ state.v2 ^ state.v3;
  state.v1 ^= 0xdd;
  for (int i = 0; i < 4; i++) siphash_round(&state);
  id.low = state.v0 ^ state.v1 ^ state.v2 ^ state.v3;
  /* Zero means "no id". */
  if (!id.high && !id.low) id.low = 1;
  return id;
}

#endif /* POSTERN_BPF_ABI_SIPHASH_H_ */
