/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hostile_argv CONNECT ARGUMENT…
 *
 * Becomes CONNECT (the program connect.c) with arguments that are meant to
 * break, or hide in, whatever shows them: invalid UTF-8, line breaks, terminal
 * escapes, a backslash, then 100,000 bytes before `--note=telling`, then ARGUMENT….
 */
#include "tests/support/attacks/attack.h"

#define LONG_BYTES 100000

int main(int argc, char** argv) {
  static char padding[LONG_BYTES + 16];
  if (argc < 2 || argc > 32) {
    fputs("usage: hostile_argv CONNECT ARGUMENT…\n", stderr);
    return 2;
  }
  size_t prefix = (size_t)snprintf(padding, sizeof(padding), "--note=");
  memset(padding + prefix, 'A', LONG_BYTES);
  char* arguments[48] = {argv[1],
                         "--note=\xff\xfe\xc3\x28",
                         "--note=one\ntwo\rthree",
                         "--note=\x1b]0;owned\x07\x1b[31m",
                         "--note=back\\slash",
                         "--note=\xc3\xa9",
                         padding,
                         "--note=telling"};
  int used = 8;
  for (int i = 2; i < argc; i++) arguments[used++] = argv[i];
  execv(argv[1], arguments);
  attack_fail(argv[1]);
}
