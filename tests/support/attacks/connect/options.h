/* SPDX-License-Identifier: Apache-2.0 */
/* What the command line of `connect` says. */
#ifndef POSTERN_TESTS_SUPPORT_ATTACKS_CONNECT_OPTIONS_H_
#define POSTERN_TESTS_SUPPORT_ATTACKS_CONNECT_OPTIONS_H_

#include <stdbool.h>
#include <sys/types.h>

#include "tests/support/attacks/connect/way.h"

enum who { WHO_SELF, WHO_THREAD, WHO_FORK, WHO_DOUBLE_FORK, WHO_VFORK };

#define LIST_MAX 64

struct options {
  const char* addresses[LIST_MAX];
  int address_count;
  int ports[LIST_MAX];
  int port_count;
  long count;
  long spread;
  bool each_forks;
  bool quiet;
  long uid, euid, gid, egid;
  gid_t groups[LIST_MAX];
  int group_count;
  bool swap_ids;
  bool userns;
  bool container;
  bool netns;
  bool low_pid;
  const char* cgroup;
  long thread_uid;
  enum who who;
  enum way way;
  bool nonblock, mptcp, udp, smc, mapped, dressed;
  bool no_option_memory;
  bool peer, hold;
  const char* again;
  const char* network;
  const char* title;
  bool wait;
  bool stay;
  unsigned deadline;
  char* then;
};

/* Ends the program, with its usage, where the line cannot be read. */
struct options parse_options(int argc, char** argv);

#endif /* POSTERN_TESTS_SUPPORT_ATTACKS_CONNECT_OPTIONS_H_ */
