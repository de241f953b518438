/* SPDX-License-Identifier: Apache-2.0 */
/*
 * swarm_child index=N ADDRESS PORT: lives for one connect. Prints nothing; exits
 * with its errno. Non-blocking, so that it is gone before anything answers.
 */
#include "tests/support/attacks/attack.h"

int main(int argc, char** argv) {
  if (argc != 4) return 255;
  union attack_address address = attack_parse(argv[2], atoi(argv[3]));
  int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return 255;
  _exit(connect(fd, &address.any, attack_length(&address)) == 0 ? 0 : errno);
}
