/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/attacks/connect/way.h"

#include <netinet/tcp.h>

#include "tests/support/attacks/connect/ring.h"

static void connect_to_next_port_and_let_go(int fd, union attack_address address) {
  struct sockaddr nowhere = {.sa_family = AF_UNSPEC};
  /* In the same place for both families. */
  address.v4.sin_port = htons((unsigned short)(ntohs(address.v4.sin_port) + 1));
  if (connect(fd, &address.any, attack_length(&address)) != 0 ||
      connect(fd, &nowhere, sizeof(nowhere)) != 0) {
    attack_fail("connect to the next port");
  }
}

int connect_by(enum way way, int fd, const union attack_address* address) {
  static const char greeting[] = "EHLO [127.0.0.1]\r\n";
  int one = 1;
  long result = 0;
  switch (way) {
    case WAY_CONNECT:
      result = connect(fd, &address->any, attack_length(address));
      break;
    case WAY_FASTOPEN_SEND:
      result = sendto(fd, greeting, sizeof(greeting) - 1, MSG_FASTOPEN | MSG_NOSIGNAL,
                      &address->any, attack_length(address));
      break;
    case WAY_FASTOPEN_CONNECT:
      if (setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &one, sizeof(one)) != 0) {
        attack_fail("TCP_FASTOPEN_CONNECT");
      }
      result = connect(fd, &address->any, attack_length(address));
      if (result == 0 && send(fd, greeting, sizeof(greeting) - 1, MSG_NOSIGNAL) < 0) result = -1;
      break;
    case WAY_IO_URING:
    case WAY_SQPOLL:
      return ring_connect(way == WAY_SQPOLL, fd, address);
    case WAY_RECONNECT:
      connect_to_next_port_and_let_go(fd, *address);
      result = connect(fd, &address->any, attack_length(address));
      break;
  }
  return result < 0 ? errno : 0;
}
