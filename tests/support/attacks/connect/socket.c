/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/attacks/connect/socket.h"

#include <linux/tcp.h>
#include <poll.h>

#include "tests/support/attacks/attack.h"

void show_peer(int fd) {
  struct pollfd connected = {.fd = fd, .events = POLLOUT};
  union attack_address peer;
  socklen_t bytes = sizeof(peer);
  if (poll(&connected, 1, 5000) < 0) attack_fail("poll");
  if (getpeername(fd, &peer.any, &bytes) != 0) {
    printf("peer=%s ", attack_errno(errno));
    return;
  }
  char text[INET6_ADDRSTRLEN] = "";
  int port = attack_text(&peer, text);
  printf("peer=%s peer_port=%d ", text, port);
}

void disconnect(int fd) {
  struct sockaddr none = {.sa_family = AF_UNSPEC};
  if (connect(fd, &none, sizeof(none)) != 0) attack_fail("disconnecting");
}

void use_up_option_memory(int fd) {
  /* A key for each of ever more peers. */
  for (unsigned peer = 1; peer < 100000; peer++) {
    struct tcp_md5sig key = {.tcpm_keylen = 1, .tcpm_key = "k"};
    struct sockaddr_in* address = (struct sockaddr_in*)&key.tcpm_addr;
    address->sin_family = AF_INET;
    address->sin_addr.s_addr = htonl(0x0a000000 + peer);
    if (setsockopt(fd, IPPROTO_TCP, TCP_MD5SIG, &key, sizeof(key)) == 0) continue;
    if (errno != ENOMEM) attack_fail("TCP_MD5SIG");
    return;
  }
  errno = E2BIG;
  attack_fail("option memory without end");
}
