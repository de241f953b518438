/* SPDX-License-Identifier: GPL-2.0-only */
/* Which attempts get a record of their own, and how the others are counted. */
#ifndef POSTERN_BPF_HELPERS_COALESCE_H_
#define POSTERN_BPF_HELPERS_COALESCE_H_

#include "bpf/helpers/judge.h"

struct coalescing {
  /* Where the sequence of the whole record goes once there is one; each may be 0. */
  struct postern_repeat_count *repeat;
  struct postern_repeat_count *spread;
};

static __always_inline void count_attempt(struct postern_repeat_count *counted, __u64 now) {
  if (counted->first_time == 0) counted->first_time = now;
  counted->last_time = now;
  __sync_fetch_and_add(&counted->count, 1);
  count(POSTERN_COUNTER_COALESCED, 1);
}

/* Finds the cell of `key`, or makes it; 0 when the table is full. */
static __always_inline struct postern_repeat_count *cell(void *table, const void *key,
                                                         bool *is_new) {
  struct postern_repeat_count *found = bpf_map_lookup_elem(table, key);
  if (found) return found;

  /* Another CPU may have made it in between: then this attempt is a repeat of that one. */
  *is_new = entry_make(table, key);
  return bpf_map_lookup_elem(table, key);
}

static __always_inline void count_spread(void *table, struct postern_spread_key *key, __u64 now) {
  bool is_new = false;
  struct postern_repeat_count *counted = cell(table, key, &is_new);

  if (!counted) {
    /* A bot that copies itself to ever new paths fills the table; its uid is kept. */
    key->exe = (struct postern_path_id){};
    key->exe_device = 0;
    counted = cell(table, key, &is_new);
  }
  if (counted)
    count_attempt(counted, now);
  else
    count(POSTERN_COUNTER_LOST_REPEATS, 1);
}

static __always_inline bool goes_to_denied_ring(__u8 verdict) {
  return verdict == POSTERN_VERDICT_DENIED || verdict == POSTERN_VERDICT_WOULD_DENY ||
         verdict == POSTERN_VERDICT_OVER_LIMIT;
}

/* Whole records that a uid may cause now. */
static __always_inline __u32 whole_records(__u8 verdict) {
  __u64 taken = goes_to_denied_ring(verdict) ? bpf_ringbuf_query(&ring_denied, BPF_RB_AVAIL_DATA)
                                             : bpf_ringbuf_query(&ring_other, BPF_RB_AVAIL_DATA);
  __u64 size = goes_to_denied_ring(verdict) ? POSTERN_RING_DENIED_BYTES : POSTERN_RING_OTHER_BYTES;

  return taken > size / 2 ? POSTERN_WHOLE_RECORDS_PER_UID_CROWDED : POSTERN_WHOLE_RECORDS_PER_UID;
}

/* True when this attempt gets a record of its own; else it has been counted. */
APART bool wants_record(const struct subject *who, const struct destination *to,
                        const struct judgement *judgement, __u64 now, struct coalescing *cells) {
  const __u32 *active = only_element(&repeats_active);
  if (!active) return true;
  __u32 pair = *active;
  void *repeat_table = bpf_map_lookup_elem(&repeats, &pair);
  void *spread_table = bpf_map_lookup_elem(&spread, &pair);
  if (!repeat_table || !spread_table) return true;

  struct postern_repeat_key repeat_key = {
      .start_time = who->start_time,
      .cgroup = who->cgroup,
      .network_namespace = who->network_namespace,
      .tgid = who->tgid,
      .self_exec_id = who->self_exec_id,
      .uid = who->uid,
      .euid = who->euid,
      .gid = who->gid,
      .egid = who->egid,
      .flags = who->flags,
      .generation = judgement->generation,
      .port = to->port,
      .rule = judgement->rule,
      .family = to->family,
      .verdict = judgement->verdict,
      .kind = judgement->kind,
  };
  __builtin_memcpy(repeat_key.destination, to->prefix.address, 16);
  struct postern_repeat_count *repeat = bpf_map_lookup_elem(repeat_table, &repeat_key);
  if (repeat) {
    count_attempt(repeat, now);
    return false;
  }

  bool is_new = false;
  struct postern_spread_key budget_key = {.uid = who->uid};
  struct postern_repeat_count *budget = cell(spread_table, &budget_key, &is_new);
  struct postern_spread_key spread_key = {
      .uid = who->uid,
      .generation = judgement->generation,
      .port = to->port,
      .rule = judgement->rule,
      .verdict = judgement->verdict,
      .kind = judgement->kind,
  };
  if (who->process) {
    spread_key.exe = who->process->exe;
    spread_key.exe_device = who->process->exe_device;
  }
  /* Where the table has no room for a budget, there is none to exceed. */
  if (budget && __sync_fetch_and_add(&budget->wholes, 1) >= whole_records(judgement->verdict)) {
    count_spread(spread_table, &spread_key, now);
    return false;
  }
  /* After the budget, so that no user can fill the table: without a cell in it
   * the next attempt is a whole record too. */
  is_new = false;
  repeat = cell(repeat_table, &repeat_key, &is_new);
  if (repeat && !is_new) {
    count_attempt(repeat, now);
    return false;
  }
  cells->repeat = repeat;
  cells->spread = cell(spread_table, &spread_key, &is_new);
  return true;
}

static __always_inline void remember_record(struct coalescing *cells, __u64 sequence) {
  if (cells->repeat) cells->repeat->first = sequence;
  if (cells->spread && cells->spread->first == 0) cells->spread->first = sequence;
}

#endif /* POSTERN_BPF_HELPERS_COALESCE_H_ */
