/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From a dentry to the root of its file system, across no mount: a bind mount
 * forges a path in a mount namespace, not this one.
 */
#ifndef POSTERN_BPF_HELPERS_PATH_H_
#define POSTERN_BPF_HELPERS_PATH_H_

#include "bpf/helpers/siphash.h"

struct path_walk {
  struct dentry *dentry;
  char *text; /* of a struct postern_description */
  __u32 bytes;
  __u32 cut; /* until the root was reached */
};

static long path_walk_step(__u32 index, struct path_walk *walk) {
  struct dentry *dentry = walk->dentry;
  struct dentry *parent = BPF_CORE_READ(dentry, d_parent);
  if (!parent || parent == dentry) {
    walk->cut = 0;
    return 1;
  }

  const unsigned char *name = BPF_CORE_READ(dentry, d_name.name);
  __u64 length = BPF_CORE_READ(dentry, d_name.len);
  __u64 offset = walk->bytes;
  if (offset > POSTERN_PATH_BYTES - POSTERN_NAME_BYTES) return 1;
  char *to = walk->text + offset;
  IN_REGISTER(to);
  IN_REGISTER(length);
  if (length >= POSTERN_NAME_BYTES) return 1;
  if (bpf_probe_read_kernel(to, length, name)) return 1;
  offset = walk->bytes + length;
  IN_REGISTER(offset);
  /* Always true, and the verifier does not see it from the lines above. */
  if (offset >= POSTERN_PATH_BYTES) return 1;
  walk->text[offset] = '/';
  walk->bytes = offset + 1;
  walk->dentry = parent;
  return 0;
}

/*
 * Writes the path of `leaf` to `text`, which must be all zero, and returns its
 * length. *cut says that the root was not reached.
 */
static __always_inline __u32 path_walk(struct dentry *leaf, char *text, bool *cut) {
  struct path_walk walk = {.dentry = leaf, .text = text, .cut = 1};

  if (postern_has_loop) {
    bpf_loop(POSTERN_PATH_COMPONENTS, path_walk_step, &walk, 0);
  } else {
    long stop = 0;
    for (__u32 index = 0; index < POSTERN_PATH_COMPONENTS_UNROLLED; index++)
      if (!stop) stop = path_walk_step(index, &walk);
  }
  *cut = walk.cut;
  return walk.bytes & (2 * POSTERN_PATH_BYTES - 1);
}

/* The name of a file that stands in no tree, such as a memfd's. */
static __always_inline __u32 path_pseudo_name(struct dentry *dentry, char *text) {
  const unsigned char *name = BPF_CORE_READ(dentry, d_name.name);
  __u64 length = BPF_CORE_READ(dentry, d_name.len);

  IN_REGISTER(length);
  if (length >= POSTERN_NAME_BYTES) length = POSTERN_NAME_BYTES - 1;
  IN_REGISTER(length);
  if (length >= POSTERN_NAME_BYTES || bpf_probe_read_kernel(text, length, name)) return 0;
  IN_REGISTER(length);
  if (length >= POSTERN_NAME_BYTES) return 0;
  text[length] = '/';
  return length + 1;
}

#endif /* POSTERN_BPF_HELPERS_PATH_H_ */
