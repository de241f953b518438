/* SPDX-License-Identifier: GPL-2.0-only */
/* Limits of rules, counted for each account apart. bpf/abi/policy.h says what they are. */
#ifndef POSTERN_BPF_HELPERS_LIMIT_H_
#define POSTERN_BPF_HELPERS_LIMIT_H_

#include "bpf/helpers/subject.h"

/* Takes one attempt of `who` from its share at `now`; false when nothing is left of it. */
static __always_inline bool limit_take(const struct postern_limit *limit, struct account who,
                                       __u64 now) {
  struct postern_limit_key key = {
      .rule = limit->rule, .uid = who.uid, .user_namespace = who.user_namespace};
  struct postern_limit_use *use = bpf_map_lookup_elem(&limits, &key);
  __u64 interval = limit->interval, burst = limit->burst;

  if (!use) {
    /* Another CPU may have made it in between. */
    entry_make(&limits, &key);
    use = bpf_map_lookup_elem(&limits, &key);
    if (!use) {
      count(POSTERN_COUNTER_LIMITS_FULL, 1);
      return false;
    }
  }

  bpf_spin_lock(&use->lock);
  __u64 up_to = (use->used_up_to > now ? use->used_up_to : now) + interval;
  bool left = up_to - now <= burst;
  if (left) use->used_up_to = up_to;
  bpf_spin_unlock(&use->lock);
  return left;
}

/* Drops the entry where nothing is used up: as good as none. */
static __always_inline void limit_forget(struct postern_limit_key key,
                                         const struct postern_limit_use *use) {
  /* An attempt in between is lost to the count, not to the record. */
  if (use->used_up_to < bpf_ktime_get_boot_ns()) bpf_map_delete_elem(&limits, &key);
}

#endif /* POSTERN_BPF_HELPERS_LIMIT_H_ */
