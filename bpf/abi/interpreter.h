/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Interpreters, and which of their options take what: all that is needed to find the
 * script in a command line. The agent fills the maps before the first exec is seen.
 */
#ifndef POSTERN_BPF_ABI_INTERPRETER_H_
#define POSTERN_BPF_ABI_INTERPRETER_H_

#include "bpf/abi/base.h"

enum postern_option {
  POSTERN_OPTION_PLAIN = 0,    /* takes nothing, or is not known */
  POSTERN_OPTION_CODE = 1,     /* the program itself: there is no script */
  POSTERN_OPTION_SCRIPT = 2,   /* the script, attached or next */
  POSTERN_OPTION_VALUE = 3,    /* a value, attached or next */
  POSTERN_OPTION_ATTACHED = 4, /* the rest of its cluster, if any */
};

/* Key of `interpreters`: the file's name without a version, "perl" of perl5.36.0. */
struct postern_interpreter_name {
  char text[16];
};
POSTERN_LAYOUT(struct postern_interpreter_name, 16);

struct postern_interpreter {
  __u32 number;      /* in the keys of its long options */
  __u8 plus_options; /* "+x" is an option: a shell */
  __u8 single_dash;  /* its long options begin with one dash */
  __u8 padding[2];
  __u8 option[256]; /* by letter, enum postern_option */
};
POSTERN_LAYOUT(struct postern_interpreter, 264);

/* Key of `interpreter_options`, whose values are an enum postern_option as __u32. */
struct postern_long_option {
  __u32 interpreter;
  char text[28]; /* with its dashes, filled up with zeros */
};
POSTERN_LAYOUT(struct postern_long_option, 32);

#define POSTERN_INTERPRETERS 64
#define POSTERN_LONG_OPTIONS 256

#endif /* POSTERN_BPF_ABI_INTERPRETER_H_ */
