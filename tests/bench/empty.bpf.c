/* SPDX-License-Identifier: GPL-2.0-only */
/* The least that a program at connect can do: what Postern's is measured against. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

SEC("cgroup/connect4")
int empty_connect4(struct bpf_sock_addr* context) { return 1; }

char _license[] SEC("license") = "GPL";
