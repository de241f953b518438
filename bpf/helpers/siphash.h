/* SPDX-License-Identifier: GPL-2.0-only */
/* The id of a path that was walked, or read, into the text of a description. */
#ifndef POSTERN_BPF_HELPERS_SIPHASH_H_
#define POSTERN_BPF_HELPERS_SIPHASH_H_

#include "bpf/abi/identity.h"
#include "bpf/abi/siphash.h"
#include "bpf/helpers/maps.h"

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

  struct path_hash hash = {
      .state = siphash_begin(keys->path_key[0], keys->path_key[1]),
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

  return siphash_end(hash.state, bytes);
}

#endif /* POSTERN_BPF_HELPERS_SIPHASH_H_ */
