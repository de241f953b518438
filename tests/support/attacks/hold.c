/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hold [OPTION…] ADDRESS PORT
 *
 * Connects, prints attack.h's line, and holds the connection until the end of
 * standard input. Where the connection ends before, it prints a line more: `ended=`
 * with the errno of reading from it, OK where the peer closed it.
 * --uid=N   as that user
 * --from=N  from this port
 * --block   waits in read(2) for the connection to end, not for standard input
 * --alone   in a network namespace of its own, with a server of its own
 */
#include <getopt.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/ioctl.h>

#include "tests/support/attacks/attack.h"

static int held_server = -1;

static void enter_network_of_its_own(void) {
  struct ifreq request = {.ifr_name = "lo"};
  if (unshare(CLONE_NEWNET) != 0) attack_fail("unshare");
  int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  request.ifr_flags = IFF_UP;
  if (control < 0 || ioctl(control, SIOCSIFFLAGS, &request) != 0) attack_fail("lo");
  close(control);
}

static void serve(const union attack_address* address) {
  const int one = 1;
  held_server = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (held_server < 0 ||
      setsockopt(held_server, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) != 0 ||
      bind(held_server, &address->any, attack_length(address)) != 0 ||
      listen(held_server, 4) != 0) {
    attack_fail("serving");
  }
}

int main(int argc, char** argv) {
  static const struct option known[] = {
      {"uid", required_argument, NULL, 'u'},
      {"from", required_argument, NULL, 'f'},
      {"block", no_argument, NULL, 'b'},
      {"alone", no_argument, NULL, 'a'},
      {NULL, 0, NULL, 0},
  };
  uid_t uid = 0;
  int from = 0;
  bool block = false, alone = false;
  for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
    if (option == 'u') uid = (uid_t)atoi(optarg);
    if (option == 'f') from = atoi(optarg);
    if (option == 'b') block = true;
    if (option == 'a') alone = true;
    if (option == '?') return 2;
  }
  if (argc - optind != 2) {
    fputs("usage: hold [OPTION...] ADDRESS PORT\n", stderr);
    return 2;
  }
  alarm(120);
  union attack_address to = attack_parse(argv[optind], atoi(argv[optind + 1]));
  if (alone) {
    enter_network_of_its_own();
    serve(&to);
  }
  if (uid != 0) attack_become(uid, uid);
  int fd = socket(to.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  union attack_address own = {.v4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)from)}};
  const int one = 1;
  /* Connections of before may still linger on that port. */
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
  if (fd < 0 || (from != 0 && bind(fd, &own.any, sizeof(own.v4)) != 0)) attack_fail("bind");
  int error = connect(fd, &to.any, attack_length(&to)) == 0 ? 0 : errno;
  int accepted = alone && error == 0 ? accept(held_server, NULL, NULL) : -1;
  attack_report(&to, error);
  struct pollfd waiting[] = {{.fd = fd, .events = POLLIN}, {.fd = STDIN_FILENO, .events = POLLIN}};
  if (!block) poll(waiting, 2, -1);
  if (block || waiting[0].revents != 0) {
    char buffer[64];
    ssize_t bytes = read(fd, buffer, sizeof(buffer));
    printf("pid=%d ended=%s\n", getpid(), attack_errno(bytes < 0 ? errno : 0));
    fflush(stdout);
  }
  close(accepted);
  return 0;
}
