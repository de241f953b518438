/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * SipHash-2-4 with 128 bits of result (Aumasson and Bernstein, 2012), over the
 * zero-padded words of a path. It is keyed, so nobody can search for a path
 * that collides with an allowed one.
 */
#ifndef POSTERN_BPF_HELPERS_SIPHASH_H_
#define POSTERN_BPF_HELPERS_SIPHASH_H_

#include "bpf/abi/identity.h"
#include "bpf/helpers/maps.h"

struct siphash {
  __u64 v0, v1, v2, v3;
};

static __always_inline __u64 rotate_left(__u64 word, int by) {
  return (word << by) | (word >> (64 - by));
}

static __always_inline void siphash_round(struct siphash *state) {
  state->v0 += state->v1;
  state->v2 += state->v3;
  state->v1 = rotate_left(state->v1, 13) ^ state->v0;
  state->v3 = rotate_left(state->v3, 16) ^ state->v2;
  state->v0 = rotate_left(state->v0, 32);
  state->v2 += state->v1;
  state->v0 += state->v3;
  state->v1 = rotate_left(state->v1, 17) ^ state->v2;
  state->v3 = rotate_left(state->v3, 21) ^ state->v0;
  state->v2 = rotate_left(state->v2, 32);
}

static __always_inline void siphash_word(struct siphash *state, __u64 word) {
  state->v3 ^= word;
  siphash_round(state);
  siphash_round(state);
  state->v0 ^= word;
}

struct path_hash {
  struct siphash state;
  const char *text;
  __u32 words;
};

static long path_hash_step(__u32 index, struct path_hash *hash) {
  if (index >= hash->words || index >= POSTERN_PATH_BYTES / 8) return 1;
  siphash_word(&hash->state, *(const __u64 *)(hash->text + index * 8));
  return 0;
}

/*
 * Of the first `bytes` bytes of the text of a description; what follows them up
 * to the next multiple of 8 must be zero.
 */
static __always_inline struct postern_path_id path_hash(const char *text, __u32 bytes) {
  struct postern_path_id id = {};
  const struct postern_config *keys = only_element(&config);
  if (!keys) return id;

  __u64 key0 = keys->path_key[0], key1 = keys->path_key[1];
  struct path_hash hash = {
      .state = {key0 ^ 0x736f6d6570736575ULL, key1 ^ 0x646f72616e646f6dULL ^ 0xee,
                key0 ^ 0x6c7967656e657261ULL, key1 ^ 0x7465646279746573ULL},
      .text = text,
      .words = (bytes + 7) / 8,
  };
  if (postern_has_loop) {
    bpf_loop(POSTERN_PATH_BYTES / 8, path_hash_step, &hash, 0);
  } else {
    if (bytes > POSTERN_PATH_BYTES_UNROLLED) return id;
    /* Without leaving early: what follows is then verified once, not for each way out. */
    for (__u32 index = 0; index < POSTERN_PATH_BYTES_UNROLLED / 8; index++)
      path_hash_step(index, &hash);
  }

  struct siphash state = hash.state;
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

#endif /* POSTERN_BPF_HELPERS_SIPHASH_H_ */
