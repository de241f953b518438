/* SPDX-License-Identifier: Apache-2.0 */
/*
 * other_family sctp|vsock ADDRESS PORT
 *
 * Connects a stream that is not TCP to the same port, on a listener of its own.
 */
#include <linux/vm_sockets.h>

#include "tests/support/attacks/attack.h"

int main(int argc, char** argv) {
  if (argc != 4) {
    fputs("usage: other_family sctp|vsock ADDRESS PORT\n", stderr);
    return 2;
  }
  union attack_address address = attack_parse(argv[2], atoi(argv[3]));
  struct sockaddr_vm vm = {
      .svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_LOCAL, .svm_port = (unsigned)atoi(argv[3])};
  struct sockaddr* to = &address.any;
  socklen_t length = attack_length(&address);
  int family = address.any.sa_family, protocol = IPPROTO_SCTP;
  alarm(60);
  if (strcmp(argv[1], "vsock") == 0) {
    to = (struct sockaddr*)&vm;
    length = sizeof(vm);
    family = AF_VSOCK;
    protocol = 0;
  }
  int listener = attack_socket(family, SOCK_STREAM, protocol, argv[1]);
  /* vsock without its loopback has no such address. */
  if (bind(listener, to, length) != 0 && errno == EADDRNOTAVAIL) attack_missing(argv[1]);
  if (listen(listener, 16) != 0) attack_fail("listen");
  int fd = attack_socket(family, SOCK_STREAM, protocol, argv[1]);
  attack_report(&address, connect(fd, to, length) == 0 ? 0 : errno);
  return 0;
}
