/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which script an image runs, by its path: what a #! exec was called with, or for an
 * interpreter the first argument that belongs to no option. Either is the caller's word.
 * Needs bpf_loop.
 */
#ifndef POSTERN_BPF_HELPERS_SCRIPT_H_
#define POSTERN_BPF_HELPERS_SCRIPT_H_

#include "bpf/helpers/path.h"

#define SCRIPT_PLACE POSTERN_SCRIPT_BYTES /* of its text, in script_room's path */
#define WORKING_FOLDER_DEPTH 64
#define LEADING_DOTS 4 /* "././x" */

struct name_reading {
  struct script_room *room; /* the file's name is in path; begin: the version's was seen */
};

/* Takes the name without a version: "lua" of lua-5.4. */
static long name_step(__u32 at, struct name_reading *reading) {
  struct script_room *room = reading->room;
  char *name = room->interpreter.text;

  if (at >= sizeof(room->interpreter.text)) return 1;
  char c = room->path[at];
  if (c == 0) {
    room->found = 1;
    return 1;
  }
  if ((c >= '0' && c <= '9') || c == '.') {
    __u64 before = (__u64)at - 1;
    IN_REGISTER(before);
    if (before >= sizeof(room->interpreter.text)) return 1; /* at is 0 */
    if (!room->begin && name[before] == '-') name[before] = 0;
    room->begin = 1;
    return 0;
  }
  if (room->begin) return 1;
  name[at] = c;
  return 0;
}

/* 0 where the file of this name runs no scripts. */
static __always_inline const struct postern_interpreter *interpreter_of(struct script_room *room,
                                                                        struct dentry *dentry) {
  struct name_reading reading = {.room = room};
  const unsigned char *name = BPF_CORE_READ(dentry, d_name.name);

  __builtin_memset(&room->interpreter, 0, sizeof(room->interpreter));
  room->begin = room->found = 0;
  if (bpf_probe_read_kernel_str(room->path, sizeof(room->interpreter.text), name) <= 1) return 0;
  bpf_loop(sizeof(room->interpreter.text), name_step, &reading, 0);
  return room->found ? bpf_map_lookup_elem(&interpreters, &room->interpreter) : 0;
}

enum reading_state {
  READING_SKIPPED = 0, /* an argument to its end */
  READING_BEGIN,       /* of an argument */
  READING_DASH,        /* behind the first one */
  READING_LONG,        /* the name of a long option */
  READING_LETTERS,
  READING_TAKEN, /* the first byte behind an option that takes something */
  READING_SCRIPT,
};

struct args_reading {
  struct script_room *room;
  const struct postern_interpreter *interpreter;
  __u32 bytes; /* of args */
};

/* One byte of the command line, by the rules of agent/enrich/script.cc. */
static long args_step(__u32 at, struct args_reading *reading) {
  struct script_room *room = reading->room;
  struct postern_long_option *option = &room->option;

  if (at >= reading->bytes || at >= POSTERN_ARGS_BYTES) return 1;
  __u32 c = (__u8)room->args[at];
  __u32 state = room->state;

  if (state == READING_BEGIN) {
    if (room->takes == POSTERN_OPTION_VALUE) {
      room->takes = POSTERN_OPTION_PLAIN;
      state = READING_SKIPPED;
    } else if (room->takes == POSTERN_OPTION_PLAIN && c == '-') {
      room->state = READING_DASH;
      return 0;
    } else if (room->takes == POSTERN_OPTION_PLAIN && c == '+' &&
               reading->interpreter->plus_options) {
      room->state = READING_LETTERS;
      return 0;
    } else {
      room->begin = at;
      state = READING_SCRIPT;
      room->none = c == 0;
    }
  } else if (state == READING_DASH) {
    if (c == '-' || (reading->interpreter->single_dash && c != 0)) {
      __builtin_memset(option->text, 0, sizeof(option->text));
      option->interpreter = reading->interpreter->number;
      option->text[0] = '-';
      option->text[1] = c;
      room->name = 2;
      room->state = READING_LONG;
      return 0;
    }
    room->none = c == 0; /* "-": standard input */
    state = READING_LETTERS;
  } else if (state == READING_TAKEN) {
    if (c != 0 && room->takes == POSTERN_OPTION_SCRIPT) {
      room->begin = at;
      state = READING_SCRIPT;
    } else if (c != 0) {
      room->takes = POSTERN_OPTION_PLAIN;
      state = READING_SKIPPED;
    }
  }
  if (room->none) return 1;

  if (state == READING_SCRIPT) {
    room->found = c == 0;
    room->state = state;
    return c == 0;
  }
  if (state == READING_LETTERS && c != 0) {
    __u32 takes = reading->interpreter->option[c];
    room->none = takes == POSTERN_OPTION_CODE;
    if (takes == POSTERN_OPTION_ATTACHED) {
      state = READING_SKIPPED;
    } else if (takes != POSTERN_OPTION_PLAIN) {
      room->takes = takes;
      state = READING_TAKEN;
    }
  }
  if (state == READING_LONG) {
    if (c != 0 && c != '=') {
      __u32 name = room->name;
      if (name < sizeof(option->text) - 1) option->text[name] = c;
      room->name = name + 1;
      return 0;
    }
    const __u32 *known = 0;
    /* A longer name is none that the map has. */
    if (room->name < sizeof(option->text))
      known = bpf_map_lookup_elem(&interpreter_options, option);
    __u32 takes = known ? *known : POSTERN_OPTION_PLAIN;
    if (room->name == 2 && option->text[1] == '-' && c == 0) takes = POSTERN_OPTION_SCRIPT;
    room->none = takes == POSTERN_OPTION_CODE;
    state = READING_SKIPPED;
    if (takes == POSTERN_OPTION_SCRIPT || (takes == POSTERN_OPTION_VALUE && c == 0)) {
      room->takes = takes;
      state = READING_TAKEN;
    }
  }
  room->state = c == 0 ? READING_BEGIN : state;
  return room->none;
}

/* The script in the command line; *begin is where in the room's args. False: there is none, or
 * where `none` does not say so, none that is known. */
static __always_inline bool script_in_args(struct script_room *room,
                                           const struct postern_interpreter *interpreter,
                                           struct task_struct *task, __u32 *begin, bool *none) {
  __u64 start = BPF_CORE_READ(task, mm, arg_start);
  __u64 end = BPF_CORE_READ(task, mm, arg_end);
  struct args_reading reading = {.room = room, .interpreter = interpreter};

  if (start == 0 || end <= start) return false;
  __u64 total = end - start;
  __u64 bytes = total > POSTERN_ARGS_BYTES ? POSTERN_ARGS_HEAD_BYTES : total;
  IN_REGISTER(bytes);
  if (bytes > POSTERN_ARGS_BYTES) return false;
  if (bpf_probe_read_user(room->args, bytes, (void *)start)) return false;
  reading.bytes = bytes;
  room->state = room->takes = room->found = room->none = 0;
  bpf_loop(POSTERN_ARGS_BYTES, args_step, &reading, 0);
  /* All of it was read, or enough. */
  *none = room->none || (!room->found && total <= POSTERN_ARGS_BYTES);
  *begin = room->begin;
  return room->found && !room->none;
}

struct folder_walk {
  struct script_room *room; /* begin: of what was written, which goes towards the beginning */
  struct dentry *dentry;
  struct mount *mount;
};

static long folder_step(__u32 index, struct folder_walk *walk) {
  struct dentry *dentry = walk->dentry;
  struct mount *mount = walk->mount;

  if (dentry == BPF_CORE_READ(mount, mnt.mnt_root)) {
    struct mount *parent = BPF_CORE_READ(mount, mnt_parent);
    if (parent == mount) {
      walk->room->found = 1;
      return 1;
    }
    walk->dentry = BPF_CORE_READ(mount, mnt_mountpoint);
    walk->mount = parent;
    return 0;
  }
  const unsigned char *name = BPF_CORE_READ(dentry, d_name.name);
  __u64 length = BPF_CORE_READ(dentry, d_name.len);
  __u64 place = walk->room->begin;
  IN_REGISTER(place);
  IN_REGISTER(length);
  if (place >= SCRIPT_PLACE || length == 0 || length >= place) return 1;
  place -= length;
  IN_REGISTER(place);
  if (place == 0 || place >= SCRIPT_PLACE) return 1;
  char *to = walk->room->path + place;
  IN_REGISTER(to);
  IN_REGISTER(length);
  if (length >= POSTERN_SCRIPT_BYTES || bpf_probe_read_kernel(to, length, name)) return 1;
  place -= 1;
  IN_REGISTER(place);
  if (place >= SCRIPT_PLACE) return 1;
  walk->room->path[place] = '/';
  walk->room->begin = place;
  walk->dentry = BPF_CORE_READ(dentry, d_parent);
  return 0;
}

/*
 * The path of the task's working folder, across mounts as the task sees them, and a
 * slash, so that it ends at SCRIPT_PLACE. Returns where it begins, 0 where it is too long.
 */
static __always_inline __u32 working_folder(struct script_room *room, struct task_struct *task) {
  struct vfsmount *mounted = BPF_CORE_READ(task, fs, pwd.mnt);
  struct mount *mount = 0;
  struct folder_walk walk = {
      .room = room,
      .dentry = BPF_CORE_READ(task, fs, pwd.dentry),
      .mount = (void *)mounted - bpf_core_field_offset(mount->mnt),
  };

  room->found = 0;
  room->begin = SCRIPT_PLACE - 1;
  room->path[SCRIPT_PLACE - 1] = '/';
  bpf_loop(WORKING_FOLDER_DEPTH, folder_step, &walk, 0);
  return room->found ? room->begin : 0;
}

struct plain_reading {
  struct script_room *room;
};

static long plain_step(__u32 index, struct plain_reading *reading) {
  struct script_room *room = reading->room;
  __u32 at = room->begin + index + 1; /* behind the first slash */

  if (at >= sizeof(room->path)) return 1;
  char c = room->path[at];
  if (c == 0 || c == '/') {
    bool means_another = room->length == 0 || (room->length <= 2 && room->dots == room->length);
    room->found = c == 0 && !means_another;
    room->length = room->dots = 0;
    return c == 0 || means_another;
  }
  if (c == '.' && room->dots == room->length) room->dots++;
  room->length++;
  return 0;
}

/* No "//", "/./" or "/../", by which one file has many paths. */
static __always_inline bool path_is_plain(struct script_room *room, __u32 begin) {
  struct plain_reading reading = {.room = room};

  room->begin = begin;
  room->length = room->dots = room->found = 0;
  bpf_loop(2 * POSTERN_SCRIPT_BYTES, plain_step, &reading, 0);
  return room->found;
}

/*
 * Puts the script's absolute path into the room, without "./" at its beginning, and
 * returns where it begins; 0 where it is too long.
 */
static __always_inline __u32 script_place(struct script_room *room, struct task_struct *task,
                                          const char *from, __u32 *bytes) {
  char *text = room->path + SCRIPT_PLACE;
  long read = bpf_probe_read_kernel_str(text, POSTERN_SCRIPT_BYTES + 1, from);
  bool relative = read > 1 && text[0] != '/';

  for (int i = 0; i < LEADING_DOTS; i++) {
    if (read <= 2 || text[0] != '.' || text[1] != '/') break;
    from += 2;
    read = bpf_probe_read_kernel_str(text, POSTERN_SCRIPT_BYTES + 1, from);
  }
  if (read <= 1 || read > POSTERN_SCRIPT_BYTES) return 0;
  __u32 begin = relative ? working_folder(room, task) : SCRIPT_PLACE;
  if (begin == 0) return 0;
  *bytes = SCRIPT_PLACE - begin + read - 1;
  return *bytes < POSTERN_SCRIPT_BYTES ? begin : 0;
}

#endif /* POSTERN_BPF_HELPERS_SCRIPT_H_ */
