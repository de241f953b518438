/* SPDX-License-Identifier: GPL-2.0-only */
#include "bpf/helpers/socket.h"

char LICENSE[] SEC("license") = "GPL";

/* There is no socket yet, and so no cookie of it. */
APART void record_packet(const struct subject *who, const struct destination *to,
                         const struct judgement *judgement, struct coalescing *cells) {
  emit_connect(/*ctx=*/0, POSTERN_RECORD_PACKET_SOCKET, who, to, judgement,
               description_of(who, /*here=*/true), cells);
}

/* errno of the refusal, 0 for none. */
APART int created_packet(__u16 protocol) {
  struct task_struct *task = (struct task_struct *)bpf_get_current_task();
  struct destination to = {.family = AF_PACKET, .port = protocol};
  struct judgement judgement = {.kind = POSTERN_RECORD_PACKET_SOCKET};
  struct coalescing cells = {};
  struct subject who;

  subject_read(&who, task);
  who.network_namespace = BPF_CORE_READ(task, nsproxy, net_ns, net_cookie);
  if (socket_judged(&who, &to, is_host_root(&who), &judgement, &cells))
    record_packet(&who, &to, &judgement, &cells);
  return refusal(&judgement);
}

/*
 * Of AF_PACKET: cgroup/sock_create sees the internet's families alone. Where the
 * kernel skips this (README.md, "What to keep in mind"), it fails open.
 */
SEC("lsm/socket_create")
int BPF_PROG(judge_packet_socket, int family, int type, int protocol, int kern, int before) {
  if (before || kern || family != AF_PACKET) return before;
  return lsm_answer(created_packet(bpf_ntohs(protocol)));
}
