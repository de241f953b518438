/* SPDX-License-Identifier: GPL-2.0-only */
#include "bpf/helpers/held.h"

char LICENSE[] SEC("license") = "GPL";

APART void record_packet_held(struct sock *sk, const struct subject *who,
                              const struct destination *to, const struct judgement *judgement,
                              struct coalescing *cells) {
  emit_connect(sk, POSTERN_RECORD_PACKET_SOCKET, who, to, judgement,
               description_of(who, /*here=*/false), cells);
}

/* Every open AF_PACKET socket, where nothing sees them made. */
SEC("iter/task_file")
int find_packet_sockets(struct bpf_iter__task_file *ctx) {
  /* Once: what is read again from the context has to be checked again. */
  struct task_struct *task = ctx->task;
  struct sock *sk = held_socket(ctx->file);
  struct judgement judgement = {.kind = POSTERN_RECORD_PACKET_SOCKET};
  struct coalescing cells = {};
  struct subject who;

  if (!task || !sk || sk->__sk_common.skc_family != AF_PACKET) return 0;
  if (!is_new_socket(bpf_get_socket_cookie(sk))) return 0;
  struct destination to = {.family = AF_PACKET, .port = packet_protocol(sk)};
  holder_read(&who, task, sk);
  /* It is there already: recorded, never refused. */
  if (socket_judged(&who, &to, /*exempt=*/true, &judgement, &cells))
    record_packet_held(sk, &who, &to, &judgement, &cells);
  return 0;
}

APART void record_earlier(struct sock *sk, const struct subject *who, const struct destination *to,
                          const struct judgement *judgement, struct coalescing *cells) {
  emit_connect(sk, POSTERN_RECORD_EARLIER_CONNECTION, who, to, judgement,
               description_of(who, /*here=*/false), cells);
}

/* Once, when the hooks are new: connections that no hook was asked for. */
SEC("iter/task_file")
int find_earlier_connections(struct bpf_iter__task_file *ctx) {
  struct task_struct *task = ctx->task;
  struct sock *sk = held_socket(ctx->file);
  struct judgement judgement = {
      .time = bpf_ktime_get_boot_ns(),
      .kind = POSTERN_RECORD_EARLIER_CONNECTION,
  };
  struct coalescing cells = {};
  struct destination to = {};
  struct subject who;

  if (!task || !sk || !is_watched_connection(sk, &to)) return 0;
  struct postern_held_socket held = {.fd = ctx->fd, .cookie = bpf_get_socket_cookie(sk)};
  if (!is_new_socket(held.cookie)) return 0;
  FORGET(to);
  holder_read(&who, task, sk);
  FORGET(who.flags);
  held.pid = who.tgid;
  if (!earlier_judged(&who, &to, &judgement)) return 0;
  FORGET(judgement);
  if (wants_record(&who, &to, &judgement, judgement.time, &cells))
    record_earlier(sk, &who, &to, &judgement, &cells);
  if (judgement.verdict == POSTERN_VERDICT_DENIED)
    bpf_seq_write(ctx->meta->seq, &held, sizeof(held));
  return 0;
}
