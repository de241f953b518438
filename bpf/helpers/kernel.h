/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel's types as far as we read them; CO-RE finds where the running
 * kernel keeps each field. Renamed fields live here, with the commit.
 */
#ifndef POSTERN_BPF_HELPERS_KERNEL_H_
#define POSTERN_BPF_HELPERS_KERNEL_H_

#include <linux/bpf.h>
#include <linux/types.h>
#include <stdbool.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#define AF_INET 2
#define AF_INET6 10
#define AF_PACKET 17
#define SOCK_STREAM 1
#define SOCK_RAW 3
#define PF_KTHREAD 0x00200000 /* include/linux/sched.h */
/* include/linux/proc_ns.h: inode numbers of the initial namespaces. */
#define PROC_CGROUP_INIT_INO 0xEFFFFFFBU

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct {
  unsigned int val;
} kuid_t;
typedef struct {
  unsigned int val;
} kgid_t;

struct ns_common {
  unsigned int inum;
};
struct user_namespace {
  struct user_namespace *parent;
  int level;
  kuid_t owner;
  struct ns_common ns;
};
struct cgroup_namespace {
  struct ns_common ns;
};
struct kernfs_node {
  const char *name;
  __u64 id;
};
struct cgroup {
  int level;
  struct kernfs_node *kn;
  struct cgroup *ancestors[0]; /* since 6.1 (7f203bc89eb6) */
};
struct css_set {
  struct cgroup *dfl_cgrp;
};
struct net {
  __u64 net_cookie; /* since 5.12 (3d368ab87cf6), when it is taken as the namespace is made */
};
struct nsproxy {
  struct cgroup_namespace *cgroup_ns;
  struct net *net_ns;
};
struct pid {
  unsigned int level;
};
struct group_info {
  int ngroups;
  kgid_t gid[0];
};
struct cred {
  kuid_t uid;
  kgid_t gid;
  kuid_t euid;
  kgid_t egid;
  struct user_namespace *user_ns;
  struct group_info *group_info;
};

struct super_block {
  __u32 s_dev;
};
struct timespec64 {
  long long tv_sec;
  long tv_nsec;
};
struct inode {
  unsigned short i_mode;
  kuid_t i_uid;
  unsigned long i_ino;
  unsigned int i_nlink;
  __u32 i_generation;
  struct super_block *i_sb;
};
/* i_ctime became __i_ctime in 6.6 (13bc24457850), and two fields in 6.11 (3aa63a569c64). */
struct inode___before_6_6 {
  struct timespec64 i_ctime;
};
struct inode___before_6_11 {
  struct timespec64 __i_ctime;
};
struct inode___since_6_11 {
  long long i_ctime_sec;
  __u32 i_ctime_nsec;
};
struct qstr {
  __u32 len;
  const unsigned char *name;
};
struct dentry {
  struct dentry *d_parent;
  struct qstr d_name;
};
struct vfsmount {
  struct dentry *mnt_root;
};
struct mount {
  struct mount *mnt_parent;
  struct dentry *mnt_mountpoint;
  struct vfsmount mnt;
};
struct path {
  struct vfsmount *mnt;
  struct dentry *dentry;
};
struct fs_struct {
  struct path pwd;
};
struct file {
  struct path f_path;
  struct inode *f_inode;
};

struct mm_struct {
  unsigned long arg_start;
  unsigned long arg_end;
  struct file *exe_file;
};
typedef struct {
  int counter;
} atomic_t;
struct signal_struct {
  atomic_t live;
};
struct task_struct {
  unsigned int flags;
  __u32 pid; /* pid_t is int; none is negative */
  __u32 tgid;
  __u64 start_boottime;
  __u64 self_exec_id;
  struct task_struct *group_leader;
  struct task_struct *real_parent;
  struct pid *thread_pid;
  struct mm_struct *mm;
  struct signal_struct *signal;
  struct fs_struct *fs;
  struct nsproxy *nsproxy;
  struct css_set *cgroups;
  const struct cred *cred;
  kuid_t loginuid;
  char comm[16];
};
typedef struct {
  struct net *net;
} possible_net_t;
struct in6_addr {
  union {
    __be32 u6_addr32[4];
  } in6_u;
};
struct sock_common {
  unsigned short skc_family;
  volatile unsigned char skc_state;
  __be32 skc_daddr;
  struct in6_addr skc_v6_daddr;
  __be16 skc_dport;
  possible_net_t skc_net;
};
struct sock {
  struct sock_common __sk_common;
  __u16 sk_type;
  __u16 sk_protocol;
  __u32 sk_max_ack_backlog;
};
struct socket {
  struct sock *sk;
};
/* Of a module on some kernels, and then not known. */
struct packet_sock {
  __be16 num;
};
struct linux_binprm {
  struct file *file;
  const char *filename;
  const char *interp;
};

struct bpf_iter_meta {
  struct seq_file *seq;
};
struct bpf_map;
struct bpf_iter__task {
  struct bpf_iter_meta *meta;
  struct task_struct *task;
};
struct bpf_iter__task_file {
  struct bpf_iter_meta *meta;
  struct task_struct *task;
  __u32 fd;
  struct file *file;
};
struct bpf_iter__bpf_map_elem {
  struct bpf_iter_meta *meta;
  struct bpf_map *map;
  void *key;
  void *value;
};

#pragma clang attribute pop

/*
 * 6.1 forgets the bound of a value that is on the stack while a copy of it is
 * checked. IN_REGISTER holds the compiler to one register at that point: each
 * length from its check to the call, and each pointer from its sum on.
 */
#define IN_REGISTER(value) asm volatile("" : "+r"(value))

/* A function of its own in the kernel too, with its own code and stack. */
#define APART static __attribute__((noinline))

/*
 * Has the verifier forget what it knows of `value`, at the cost of one copy. It
 * would follow each combination of flags and verdicts to the end of the program:
 * a million steps on 6.1.
 */
#define FORGET(value) bpf_probe_read_kernel(&(value), sizeof(value), &(value))

/* Set before load, from what libbpf's probes say of the running kernel. */
__weak const volatile bool postern_has_loop = true;       /* bpf_loop: 5.17 */
__weak const volatile bool postern_has_set_retval = true; /* bpf_set_retval: 5.18 */
/* bpf_sk_storage_get where connect is judged; without it redirects are denials. */
__weak const volatile bool postern_has_socket_storage = true;
__weak const volatile bool postern_has_mptcp = true; /* bpf_skc_to_mptcp_sock: 5.19 */

#endif /* POSTERN_BPF_HELPERS_KERNEL_H_ */
