/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the attack programs share: addresses, credentials, and the one line that
 * each attempt prints: `pid=1 tid=1 uid=0 address=10.0.0.1 port=25 result=EPERM`.
 * result is the errno of connect itself, by name, or OK.
 */
#ifndef POSTERN_TESTS_SUPPORT_ATTACKS_ATTACK_H_
#define POSTERN_TESTS_SUPPORT_ATTACKS_ATTACK_H_

#include <arpa/inet.h>
#include <errno.h>
#include <grp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

union attack_address {
  struct sockaddr any;
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
};

static inline void attack_fail(const char* what) {
  fprintf(stderr, "%s: %s\n", what, strerror(errno));
  exit(2);
}

/* Ends the program where this kernel has no such thing; prints `missing=NAME`. */
static inline void attack_missing(const char* name) {
  printf("missing=%s\n", name);
  exit(0);
}

/* socket(2) of something that a kernel may come without. */
static inline int attack_socket(int family, int type, int protocol, const char* name) {
  int fd = socket(family, type | SOCK_CLOEXEC, protocol);
  if (fd < 0 && (errno == EAFNOSUPPORT || errno == EPROTONOSUPPORT || errno == ESOCKTNOSUPPORT ||
                 errno == ENOPROTOOPT)) {
    attack_missing(name);
  }
  if (fd < 0) attack_fail(name);
  return fd;
}

/* Ends the program on text that is neither IPv4 nor IPv6. */
static inline union attack_address attack_parse(const char* text, int port) {
  union attack_address address;
  memset(&address, 0, sizeof(address));
  if (inet_pton(AF_INET, text, &address.v4.sin_addr) == 1) {
    address.v4.sin_family = AF_INET;
    address.v4.sin_port = htons((unsigned short)port);
  } else if (inet_pton(AF_INET6, text, &address.v6.sin6_addr) == 1) {
    address.v6.sin6_family = AF_INET6;
    address.v6.sin6_port = htons((unsigned short)port);
  } else {
    errno = EINVAL;
    attack_fail(text);
  }
  return address;
}

static inline socklen_t attack_length(const union attack_address* address) {
  return address->any.sa_family == AF_INET ? sizeof(address->v4) : sizeof(address->v6);
}

/* Real, effective and saved ids, and no supplementary group. */
static inline void attack_become(uid_t uid, gid_t gid) {
  if (setgroups(0, NULL) != 0 || setresgid(gid, gid, gid) != 0 || setresuid(uid, uid, uid) != 0) {
    attack_fail("setresuid");
  }
}

static inline const char* attack_errno(int error) {
  const char* name = error == 0 ? "OK" : strerrorname_np(error);
  return name != NULL ? name : "UNKNOWN";
}

/* Returns the port. */
static inline int attack_text(const union attack_address* address, char text[INET6_ADDRSTRLEN]) {
  if (address->any.sa_family == AF_INET) {
    inet_ntop(AF_INET, &address->v4.sin_addr, text, INET6_ADDRSTRLEN);
    return ntohs(address->v4.sin_port);
  }
  inet_ntop(AF_INET6, &address->v6.sin6_addr, text, INET6_ADDRSTRLEN);
  return ntohs(address->v6.sin6_port);
}

static inline void attack_report(const union attack_address* address, int error) {
  char text[INET6_ADDRSTRLEN] = "";
  int port = attack_text(address, text);
  printf("pid=%d tid=%ld uid=%u address=%s port=%d result=%s\n", getpid(), syscall(SYS_gettid),
         getuid(), text, port, attack_errno(error));
  fflush(stdout);
}

/* One blocking connect, bounded in time; returns its errno, 0 for none. */
static inline int attack_connect_once(const union attack_address* address) {
  struct timeval patience = {.tv_sec = 5};
  int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) attack_fail("socket");
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
  int error = connect(fd, &address->any, attack_length(address)) == 0 ? 0 : errno;
  close(fd);
  return error;
}

#endif /* POSTERN_TESTS_SUPPORT_ATTACKS_ATTACK_H_ */
