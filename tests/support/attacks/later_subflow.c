/* SPDX-License-Identifier: Apache-2.0 */
/*
 * later_subflow UID PORT
 *
 * In a network namespace of its own, UID connects by MPTCP to PORT + 1 of a server
 * that announces PORT of another address: the kernel then connects there by itself.
 * result=OK when that subflow has joined, REFUSED when it has not and a line on standard
 * input says that it was tried.
 */
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>

#include "tests/support/attacks/attack.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif
static void set_up(int announced) {
  struct ifreq loopback = {.ifr_name = "lo", .ifr_flags = IFF_UP};
  char command[256];
  if (unshare(CLONE_NEWNET) != 0) attack_fail("unshare(CLONE_NEWNET)");
  int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (control < 0 || ioctl(control, SIOCSIFFLAGS, &loopback) != 0) attack_fail("bringing lo up");
  close(control);
  snprintf(command, sizeof(command),
           "ip mptcp limits set subflows 2 add_addr_accepted 2 && "
           "ip mptcp endpoint add 127.0.0.2 port %d signal",
           announced);
  if (system(command) != 0) attack_fail("ip mptcp");
}

/* A counter of /proc/net/netstat: names on one line, figures on the next. */
static long counter(const char* wanted) {
  char names[8192], figures[8192];
  long found = -1;
  FILE* file = fopen("/proc/thread-self/net/netstat", "r");
  while (file != NULL && fgets(names, sizeof(names), file) != NULL &&
         fgets(figures, sizeof(figures), file) != NULL) {
    char *name_rest, *figure_rest;
    char* name = strtok_r(names, " \n", &name_rest);
    char* figure = strtok_r(figures, " \n", &figure_rest);
    for (; name != NULL && figure != NULL;
         name = strtok_r(NULL, " \n", &name_rest), figure = strtok_r(NULL, " \n", &figure_rest)) {
      if (strcmp(name, wanted) == 0) found = atol(figure);
    }
  }
  if (file != NULL) fclose(file);
  return found;
}

int main(int argc, char** argv) {
  if (argc != 3) {
    fputs("usage: later_subflow UID PORT\n", stderr);
    return 2;
  }
  int announced = atoi(argv[2]);
  union attack_address address = attack_parse("127.0.0.1", announced + 1);
  alarm(120);
  close(attack_socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP, "MPTCP"));
  set_up(announced);
  int listener = attack_socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP, "MPTCP");
  if (bind(listener, &address.any, sizeof(address.v4)) != 0 || listen(listener, 4) != 0) {
    attack_fail("listen");
  }
  attack_become((uid_t)atoi(argv[1]), (gid_t)atoi(argv[1]));
  int client = attack_socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP, "MPTCP");
  if (connect(client, &address.any, sizeof(address.v4)) != 0) attack_fail("connect");
  int server = accept(listener, NULL, NULL);
  if (server < 0) attack_fail("accept");
  /* The first data in both directions makes the connection one that others may join. */
  char byte = 0;
  if (send(client, &byte, 1, 0) != 1 || recv(server, &byte, 1, 0) != 1 ||
      send(server, &byte, 1, 0) != 1 || recv(client, &byte, 1, 0) != 1) {
    attack_fail("greeting");
  }
  const char* result = NULL;
  struct pollfd word = {.fd = STDIN_FILENO, .events = POLLIN};
  while (result == NULL) {
    char byte_of_word;
    /* Asked first: what it tells of has happened by then. */
    int told = poll(&word, 1, 10) > 0 && read(STDIN_FILENO, &byte_of_word, 1) > 0;
    if (counter("MPJoinAckRx") > 0) {
      result = "OK";
    } else if (told) {
      result = "REFUSED";
    }
  }
  printf("pid=%d result=%s\n", getpid(), result);
  return 0;
}
