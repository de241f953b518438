/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resolve HOST PORT: glibc's getaddrinfo, which connects UDP sockets to PORT to
 * put several addresses in order. Prints `pid=… addresses=…`.
 */
#include <netdb.h>

#include "tests/support/attacks/attack.h"

int main(int argc, char** argv) {
  if (argc != 3) {
    fputs("usage: resolve HOST PORT\n", stderr);
    return 2;
  }
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
  struct addrinfo* found = NULL;
  int error = getaddrinfo(argv[1], argv[2], &hints, &found);
  if (error != 0) {
    fprintf(stderr, "%s: %s\n", argv[1], gai_strerror(error));
    return 1;
  }
  int count = 0;
  for (struct addrinfo* item = found; item != NULL; item = item->ai_next) count++;
  printf("pid=%d addresses=%d\n", getpid(), count);
  freeaddrinfo(found);
  return 0;
}
