/* SPDX-License-Identifier: GPL-2.0-only */
/* Records into the rings. */
#ifndef POSTERN_BPF_HELPERS_EMIT_H_
#define POSTERN_BPF_HELPERS_EMIT_H_

#include "bpf/helpers/coalesce.h"

/*
 * Reservations have constant sizes (dynptrs came only in 5.19): three classes,
 * each with room for so many ancestors and so much text, so that every copy has
 * a bound the verifier can see. A usual sender fits the first.
 */
#define RECORD_SMALL_ANCESTORS 4
#define RECORD_SMALL_TEXT 160
#define RECORD_MEDIUM_TEXT 544

static __always_inline __u64 next_sequence(void) {
  __u64 *last = only_element(&sequence);

  return last ? __sync_fetch_and_add(last, 1) + 1 : 0;
}

/* `here`: it is the current task, whose memory can be read. */
static __always_inline const struct postern_description *description_of(const struct subject *who,
                                                                        bool here) {
  __u32 tgid = who->tgid;
  struct postern_description *description = bpf_map_lookup_elem(&descriptions, &tgid);

  if (!description || description->head.start_time != who->start_time) {
    struct exe_facts facts = {};
    /* Two walks would be more than the verifier takes: on 6.1, over a million steps. */
    if (!postern_has_loop) return 0;
    description = describe_from_mm(who->task, &facts);
    if (!description) return 0;
  }
  /* Not seen at exec: the process's own memory is all there is, and it is here. */
  if (here && description->head.exec_time == 0 && description->head.args_total == 0) {
    describe_args(description, who->task);
    description->head.text_flags |= POSTERN_TEXT_ARGS_LATE;
  }
  return description;
}

/*
 * Denials wake the reader, unless it is still behind; of the rest only the first
 * that comes while it sleeps, since a wake-up costs more than the whole record.
 * To be asked after next_sequence(), a full barrier: either the reader, which looks
 * at the ring once it has said that it sleeps, sees the reservation there, or this
 * sees that it sleeps.
 */
static __always_inline __u64 wakeup(__u8 verdict) {
  if (goes_to_denied_ring(verdict)) return 0;
  __u32 *sleeps = only_element(&reader_sleeps);

  if (!sleeps || *sleeps == 0) return BPF_RB_NO_WAKEUP;
  *sleeps = 0;
  return BPF_RB_FORCE_WAKEUP;
}

/* `ctx` is the hook's own for a connect (kind 0), 0 where there is no socket yet. */
static __always_inline void fill_connect(void *ctx, __u16 kind, struct postern_connect *event,
                                         const struct subject *who, const struct destination *to,
                                         const struct judgement *judgement,
                                         const struct postern_description *description) {
  struct task_struct *task = who->task;
  const struct cred *cred = who->cred;

  event->record.kind = kind ? kind : POSTERN_RECORD_CONNECT;
  event->record.version = POSTERN_ABI_VERSION;
  event->record.time = judgement->time;
  event->tgid = who->tgid;
  event->tid = BPF_CORE_READ(task, pid);
  event->ppid = BPF_CORE_READ(task, real_parent, tgid);
  event->uid = who->uid;
  event->gid = who->gid;
  event->euid = who->euid;
  event->egid = who->egid;
  event->loginuid = 0xffffffff;
  if (bpf_core_field_exists(task->loginuid)) event->loginuid = BPF_CORE_READ(task, loginuid.val);
  event->started_as = who->process ? who->process->started_as : 0xffffffff;
  event->user_namespace = BPF_CORE_READ(cred, user_ns, ns.inum);
  event->cgroup = who->cgroup;
  event->network_namespace = who->network_namespace;
  event->socket = ctx ? bpf_get_socket_cookie(ctx) : 0;
  __builtin_memcpy(event->destination, to->prefix.address, 16);
  event->port = to->port;
  event->family = to->family;
  event->protocol = 0;
  if (kind == 0 || kind == POSTERN_RECORD_EARLIER_CONNECTION) {
    __u32 protocol = kind == 0 ? ((struct bpf_sock_addr *)ctx)->protocol
                               : BPF_CORE_READ((struct sock *)ctx, sk_protocol);
    event->protocol = protocol > 255 ? 255 : protocol;
  }
  event->verdict = judgement->verdict;
  event->source = who->process ? who->process->source : POSTERN_IDENTITY_MM;
  event->rule = judgement->rule;
  event->generation = judgement->generation;
  event->flags = who->flags;
  if (to->local) event->flags |= POSTERN_CONNECT_LOCAL;
  if (who->process && (who->process->flags & POSTERN_PROCESS_EXE_UNLINKED))
    event->flags |= POSTERN_CONNECT_EXE_UNLINKED;
  BPF_CORE_READ_INTO(&event->comm, task, comm);
  if (description) {
    event->description = description->head;
  } else {
    __builtin_memset(&event->description, 0, sizeof(event->description));
    event->flags |= POSTERN_CONNECT_NO_DESCRIPTION;
  }
}

/* `bytes` from `from` to `to`, nothing where that is more than the constant `most`. */
#define COPY_BOUNDED(to, from, bytes, most)                            \
  do {                                                                 \
    __u64 length = (bytes);                                            \
    IN_REGISTER(length);                                               \
    if (length <= (most)) bpf_probe_read_kernel((to), length, (from)); \
  } while (0)

/* The ancestors, then the text, behind the fixed part. */
#define COPY_TEXTS(event, description, ancestors, text, most_ancestors, most_text) \
  do {                                                                             \
    char *after = (char *)((event) + 1);                                           \
    __u64 skip = (ancestors) * sizeof(struct postern_ancestor);                    \
    (event)->record.bytes = sizeof(*(event)) + skip + (text);                      \
    COPY_BOUNDED(after, (description)->ancestor, skip,                             \
                 (most_ancestors) * sizeof(struct postern_ancestor));              \
    IN_REGISTER(skip);                                                             \
    if (skip <= (most_ancestors) * sizeof(struct postern_ancestor)) {              \
      char *to_text = after + skip;                                                \
      IN_REGISTER(to_text);                                                        \
      COPY_BOUNDED(to_text, (description)->text, (text), (most_text));             \
    }                                                                              \
  } while (0)

static __always_inline void emit_connect(void *ctx, __u16 kind, const struct subject *who,
                                         const struct destination *to,
                                         const struct judgement *judgement,
                                         const struct postern_description *description,
                                         struct coalescing *cells) {
  void *ring = &ring_other;
  __u32 ancestors = 0, text = 0, class = 0;

  if (goes_to_denied_ring(judgement->verdict)) ring = &ring_denied;
  if (description) {
    const struct postern_description_head *head = &description->head;
    ancestors = head->ancestors;
    text = head->exe_bytes + head->script_bytes + head->args_head_bytes + head->args_tail_bytes;
    if (ancestors > RECORD_SMALL_ANCESTORS || text > RECORD_SMALL_TEXT) class = 1;
    if (text > RECORD_MEDIUM_TEXT) class = 2;
  }

  struct postern_connect *event;
#define EMIT(most_ancestors, most_text)                                                          \
  do {                                                                                           \
    event = bpf_ringbuf_reserve(                                                                 \
        ring, sizeof(*event) + (most_ancestors) * sizeof(struct postern_ancestor) + (most_text), \
        0);                                                                                      \
    if (!event) goto full;                                                                       \
    fill_connect(ctx, kind, event, who, to, judgement, description);                             \
    event->record.bytes = sizeof(*event);                                                        \
    if (description) COPY_TEXTS(event, description, ancestors, text, most_ancestors, most_text); \
    event->record.sequence = next_sequence();                                                    \
    remember_record(cells, event->record.sequence);                                              \
    bpf_ringbuf_submit(event, wakeup(judgement->verdict));                                       \
  } while (0)

  if (class == 0)
    EMIT(RECORD_SMALL_ANCESTORS, RECORD_SMALL_TEXT);
  else if (class == 1)
    EMIT(POSTERN_ANCESTORS, RECORD_MEDIUM_TEXT);
  else
    EMIT(POSTERN_ANCESTORS, POSTERN_TEXT_BYTES);
#undef EMIT
  return;
full:
  /* Nothing of anybody's is missing; the agent waits for it, and says that it did not come. */
  if (who->flags & POSTERN_CONNECT_CANARY) return;
  /* Its user and binary are at least counted, where an earlier record names them. */
  if (cells->spread && cells->spread->first != 0) {
    count_attempt(cells->spread, judgement->time);
    return;
  }
  count(goes_to_denied_ring(judgement->verdict) ? POSTERN_COUNTER_LOST_DENIED
                                                : POSTERN_COUNTER_LOST_OTHER,
        1);
}

/* What one cell counted, as a record. False when its ring is full. */
static __always_inline bool emit_repeats(const struct postern_repeats *repeats_of) {
  struct postern_repeats *event;

  if (goes_to_denied_ring(repeats_of->verdict))
    event = bpf_ringbuf_reserve(&ring_denied, sizeof(*event), 0);
  else
    event = bpf_ringbuf_reserve(&ring_other, sizeof(*event), 0);
  if (!event) return false;
  *event = *repeats_of;
  event->record.kind = POSTERN_RECORD_REPEATS;
  event->record.version = POSTERN_ABI_VERSION;
  event->record.bytes = sizeof(*event);
  event->record.sequence = next_sequence();
  bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
  return true;
}

#endif /* POSTERN_BPF_HELPERS_EMIT_H_ */
