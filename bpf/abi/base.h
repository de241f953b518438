/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What every ABI header needs, in the kernel programs and in C++ alike.
 *
 * Structures here carry explicit padding and no packed attribute;
 * POSTERN_LAYOUT asserts their size on both sides.
 */
#ifndef POSTERN_BPF_ABI_BASE_H_
#define POSTERN_BPF_ABI_BASE_H_

#include <linux/types.h>

/*
 * Version of everything under bpf/abi: records, map keys, map values. Pins live
 * in a folder named after it, because libbpf reuses a pinned map only when its
 * type, sizes and flags are the same.
 */
#define POSTERN_ABI_VERSION 2

#ifdef __cplusplus
#define POSTERN_LAYOUT(type, bytes) \
  static_assert(sizeof(type) == (bytes), #type ": layout differs between kernel and agent")
#else
#define POSTERN_LAYOUT(type, bytes) \
  _Static_assert(sizeof(type) == (bytes), #type ": layout differs between kernel and agent")
#endif

/* TASK_COMM_LEN of include/linux/sched.h. */
#define POSTERN_COMM_BYTES 16

/*
 * Names a file by where it stands in its file system: a keyed 128-bit hash
 * (SipHash) of its path from the root of the superblock. The key is made at
 * random when the pins are first made (struct postern_config), so nobody can
 * search for a colliding path. All zero: the path could not be walked whole,
 * and such a binary matches no rule.
 */
struct postern_path_id {
  __u64 high;
  __u64 low;
};
POSTERN_LAYOUT(struct postern_path_id, 16);

#endif /* POSTERN_BPF_ABI_BASE_H_ */
