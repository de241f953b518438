/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/attacks/connect/way.h"

#include <netinet/tcp.h>

#include "tests/support/attacks/connect/ring.h"

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
  }
  return result < 0 ? errno : 0;
}
