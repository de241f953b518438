/* SPDX-License-Identifier: Apache-2.0 */
/* The system calls by which a program can connect. */
#ifndef POSTERN_TESTS_SUPPORT_ATTACKS_CONNECT_WAY_H_
#define POSTERN_TESTS_SUPPORT_ATTACKS_CONNECT_WAY_H_

#include "tests/support/attacks/attack.h"

enum way {
  WAY_CONNECT,
  WAY_FASTOPEN_SEND,
  WAY_FASTOPEN_CONNECT,
  WAY_IO_URING,
  WAY_SQPOLL,
  WAY_RECONNECT /* a socket that was connected to the next port, and let go of it */
};

/* Returns the errno of the call that connects. */
int connect_by(enum way way, int fd, const union attack_address* address);

#endif /* POSTERN_TESTS_SUPPORT_ATTACKS_CONNECT_WAY_H_ */
