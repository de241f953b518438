/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hand_over FROM_UID TO_UID ADDRESS PORT
 *
 * A process of FROM_UID connects and passes the open socket (SCM_RIGHTS) to one of
 * TO_UID, which sends by it. The line is the receiver's, result that of its send.
 */
#include <sys/wait.h>

#include "tests/support/attacks/attack.h"

union control {
  char bytes[CMSG_SPACE(sizeof(int))];
  struct cmsghdr align;
};

static void pass(int through, int fd) {
  union control control;
  char byte = 0;
  struct iovec data = {.iov_base = &byte, .iov_len = 1};
  struct msghdr message = {.msg_iov = &data,
                           .msg_iovlen = 1,
                           .msg_control = control.bytes,
                           .msg_controllen = sizeof(control.bytes)};
  struct cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(fd));
  memcpy(CMSG_DATA(header), &fd, sizeof(fd));
  if (sendmsg(through, &message, 0) != 1) attack_fail("sendmsg");
}

static int take(int through) {
  union control control;
  char byte;
  int fd = -1;
  struct iovec data = {.iov_base = &byte, .iov_len = 1};
  struct msghdr message = {.msg_iov = &data,
                           .msg_iovlen = 1,
                           .msg_control = control.bytes,
                           .msg_controllen = sizeof(control.bytes)};
  if (recvmsg(through, &message, MSG_CMSG_CLOEXEC) != 1 || CMSG_FIRSTHDR(&message) == NULL) {
    attack_fail("recvmsg");
  }
  memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
  return fd;
}

int main(int argc, char** argv) {
  static const char greeting[] = "EHLO [127.0.0.1]\r\n";
  int ends[2];
  if (argc != 5) {
    fputs("usage: hand_over FROM_UID TO_UID ADDRESS PORT\n", stderr);
    return 2;
  }
  union attack_address address = attack_parse(argv[3], atoi(argv[4]));
  alarm(60);
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) attack_fail("socketpair");
  pid_t receiver = fork();
  if (receiver < 0) attack_fail("fork");
  if (receiver == 0) {
    close(ends[0]);
    attack_become((uid_t)atoi(argv[2]), (gid_t)atoi(argv[2]));
    int fd = take(ends[1]);
    long sent = send(fd, greeting, sizeof(greeting) - 1, MSG_NOSIGNAL);
    attack_report(&address, sent < 0 ? errno : 0);
    return 0;
  }
  attack_become((uid_t)atoi(argv[1]), (gid_t)atoi(argv[1]));
  int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || connect(fd, &address.any, attack_length(&address)) != 0) attack_fail("connect");
  pass(ends[0], fd);
  int status = 0;
  if (waitpid(receiver, &status, 0) != receiver) attack_fail("waitpid");
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
