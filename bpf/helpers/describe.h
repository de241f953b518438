/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Descriptions: what a record says of a process beyond what judges it. Nothing
 * here changes a verdict.
 */
#ifndef POSTERN_BPF_HELPERS_DESCRIBE_H_
#define POSTERN_BPF_HELPERS_DESCRIBE_H_

#include "bpf/helpers/ancestry.h"
#include "bpf/helpers/script.h"

/* What is read of an executable while it is described. */
struct exe_facts {
  struct postern_path_id path; /* zero: cut, unlinked, or in no tree */
  struct postern_path_id script;
  __u32 device;
  __u16 flags; /* enum postern_process_flags */
};

static __always_inline __u64 inode_change_time(struct inode *inode) {
  struct inode___since_6_11 *since_6_11 = (void *)inode;
  if (bpf_core_field_exists(since_6_11->i_ctime_sec)) {
    /* The topmost bit of the nanoseconds is a flag of the kernel's own (6.13). */
    return BPF_CORE_READ(since_6_11, i_ctime_sec) * 1000000000ULL +
           (BPF_CORE_READ(since_6_11, i_ctime_nsec) & 0x7fffffff);
  }
  struct inode___before_6_11 *before_6_11 = (void *)inode;
  if (bpf_core_field_exists(before_6_11->__i_ctime))
    return BPF_CORE_READ(before_6_11, __i_ctime.tv_sec) * 1000000000ULL +
           BPF_CORE_READ(before_6_11, __i_ctime.tv_nsec);
  struct inode___before_6_6 *before_6_6 = (void *)inode;
  return BPF_CORE_READ(before_6_6, i_ctime.tv_sec) * 1000000000ULL +
         BPF_CORE_READ(before_6_6, i_ctime.tv_nsec);
}

/* Finds the description of `tgid`, or makes an empty one. */
static __always_inline struct postern_description *description_get(__u32 tgid, __u64 start_time) {
  struct postern_description *description = bpf_map_lookup_elem(&descriptions, &tgid);
  if (description && description->head.start_time == start_time) return description;

  const struct postern_description *empty = only_element(&nothing);
  if (!empty) return 0;
  if (bpf_map_update_elem(&descriptions, &tgid, empty, BPF_ANY)) {
    count(POSTERN_COUNTER_DESCRIPTIONS_FULL, 1);
    return 0;
  }
  description = bpf_map_lookup_elem(&descriptions, &tgid);
  if (description) description->head.start_time = start_time;
  return description;
}

/* Forgets the file and the arguments, keeps start time and ancestors. */
static __always_inline void description_clear(struct postern_description *description) {
  const struct postern_description *empty = only_element(&nothing);
  struct postern_description_head *head = &description->head;
  __u64 start_time = head->start_time;
  __u16 ancestors = head->ancestors, omitted = head->ancestors_omitted;

  if (!empty) return;
  bpf_probe_read_kernel(head, sizeof(*head), &empty->head);
  bpf_probe_read_kernel(description->text, sizeof(description->text), empty->text);
  head->start_time = start_time;
  head->ancestors = ancestors;
  head->ancestors_omitted = omitted;
}

/* The file's facts into `description` (whose text is empty) and into `facts`. */
static __always_inline void describe_exe(struct postern_description *description, struct file *file,
                                         struct exe_facts *facts) {
  struct postern_description_head *head = &description->head;
  struct dentry *dentry = BPF_CORE_READ(file, f_path.dentry);
  struct inode *inode = BPF_CORE_READ(file, f_inode);
  bool cut = false;

  head->exe_device = BPF_CORE_READ(inode, i_sb, s_dev);
  head->exe_inode = BPF_CORE_READ(inode, i_ino);
  head->exe_generation = BPF_CORE_READ(inode, i_generation);
  head->exe_change_time = inode_change_time(inode);
  head->exe_owner = BPF_CORE_READ(inode, i_uid.val);
  head->exe_mode = BPF_CORE_READ(inode, i_mode);

  facts->device = head->exe_device;
  if (head->exe_owner == 0 && (head->exe_mode & 022) == 0)
    facts->flags |= POSTERN_PROCESS_EXE_TRUSTED;

  __u32 bytes = path_walk(dentry, description->text, &cut);
  if (bytes == 0) {
    bytes = path_pseudo_name(dentry, description->text);
    head->text_flags |= POSTERN_TEXT_EXE_PSEUDO;
  } else if (cut) {
    head->text_flags |= POSTERN_TEXT_EXE_CUT;
    count(POSTERN_COUNTER_PATH_CUT, 1);
  } else if (BPF_CORE_READ(inode, i_nlink) != 0) {
    facts->path = path_hash(description->text, bytes);
  }
  if (BPF_CORE_READ(inode, i_nlink) == 0) facts->flags |= POSTERN_PROCESS_EXE_UNLINKED;
  head->exe_bytes = bytes;
}

/* As its caller named it, where it has no path that a rule could name. */
static __always_inline void describe_script_as_named(struct postern_description *description,
                                                     const char *name) {
  __u32 offset = description->head.exe_bytes;

  /* Never at offset 0, where kernels before mid-2024 write one byte too early. */
  if (offset == 0 || offset > POSTERN_PATH_BYTES) return;
  long bytes = bpf_probe_read_kernel_str(description->text + offset, POSTERN_SCRIPT_BYTES, name);
  if (bytes <= 1) return;
  if (bytes == POSTERN_SCRIPT_BYTES) description->head.text_flags |= POSTERN_TEXT_SCRIPT_CUT;
  description->head.script_bytes = bytes - 1;
}

/* The script that the image runs, by its path. After describe_exe, before describe_args. */
static __always_inline void describe_script(struct postern_description *description,
                                            struct linux_binprm *bprm, struct task_struct *task,
                                            struct exe_facts *facts) {
  const char *name = BPF_CORE_READ(bprm, filename);
  bool in_args = name == BPF_CORE_READ(bprm, interp);
  struct script_room *room = only_element(&script_room);
  __u32 bytes = 0, place = 0;

  if (!postern_has_loop || !room) {
    if (!in_args) describe_script_as_named(description, name);
    return;
  }
  if (in_args) {
    const struct postern_interpreter *interpreter =
        interpreter_of(room, BPF_CORE_READ(bprm, file, f_path.dentry));
    bool none = !interpreter;
    __u32 begin = 0;
    bool found = interpreter && script_in_args(room, interpreter, task, &begin, &none);
    if (none) facts->flags |= POSTERN_PROCESS_NO_SCRIPT;
    if (!found || begin >= POSTERN_ARGS_BYTES) return;
    name = room->args + begin;
  }

  place = script_place(room, task, name, &bytes);
  __u64 offset = description->head.exe_bytes;
  __u64 length = bytes;
  IN_REGISTER(offset);
  IN_REGISTER(length);
  if (offset == 0 || offset > POSTERN_PATH_BYTES) return;
  if (place == 0 || place > SCRIPT_PLACE || length >= POSTERN_SCRIPT_BYTES) {
    describe_script_as_named(description, name);
    return;
  }
  char *text = description->text + offset;
  IN_REGISTER(text);
  if (bpf_probe_read_kernel(text, length, room->path + place)) return;
  description->head.script_bytes = length;
  if (path_is_plain(room, place)) facts->script = path_hash(text, length);
}

/* argv of the current task: its head, and its tail where it is longer. */
static __always_inline void describe_args(struct postern_description *description,
                                          struct task_struct *task) {
  struct postern_description_head *head = &description->head;
  __u64 start = BPF_CORE_READ(task, mm, arg_start);
  __u64 end = BPF_CORE_READ(task, mm, arg_end);
  __u32 offset = head->exe_bytes + head->script_bytes;

  if (start == 0 || end <= start) return;
  if (offset > POSTERN_PATH_BYTES + POSTERN_SCRIPT_BYTES) return;
  __u64 total = end - start;
  head->args_total = total;

  __u32 bytes = total > POSTERN_ARGS_BYTES ? POSTERN_ARGS_HEAD_BYTES : total;
  if (bytes > POSTERN_ARGS_BYTES) return;
  if (bpf_probe_read_user(description->text + offset, bytes, (void *)start)) {
    head->text_flags |= POSTERN_TEXT_ARGS_UNREADABLE;
    count(POSTERN_COUNTER_ARGS_UNREADABLE, 1);
    return;
  }
  head->args_head_bytes = bytes;
  if (total <= POSTERN_ARGS_BYTES) return;

  offset += POSTERN_ARGS_HEAD_BYTES;
  if (offset > POSTERN_TEXT_BYTES - POSTERN_ARGS_TAIL_BYTES) return;
  if (bpf_probe_read_user(description->text + offset, POSTERN_ARGS_TAIL_BYTES,
                          (void *)(end - POSTERN_ARGS_TAIL_BYTES))) {
    head->text_flags |= POSTERN_TEXT_ARGS_UNREADABLE;
    count(POSTERN_COUNTER_ARGS_UNREADABLE, 1);
    return;
  }
  head->args_tail_bytes = POSTERN_ARGS_TAIL_BYTES;
}

/* A forked child is what its parent was, with the parent as newest ancestor. */
static __always_inline struct postern_description *describe_fork(__u32 tgid, __u64 start_time,
                                                                 struct task_struct *parent) {
  const struct postern_description *of = description_find(parent);
  const struct postern_description *from = of ? of : only_element(&nothing);
  if (!from) return 0;

  if (bpf_map_update_elem(&descriptions, &tgid, from, BPF_ANY)) {
    count(POSTERN_COUNTER_DESCRIPTIONS_FULL, 1);
    return 0;
  }
  struct postern_description *description = bpf_map_lookup_elem(&descriptions, &tgid);
  if (!description) return 0;
  description->head.start_time = start_time;
  push_ancestor(description, parent, of, false);
  return description;
}

#endif /* POSTERN_BPF_HELPERS_DESCRIBE_H_ */
