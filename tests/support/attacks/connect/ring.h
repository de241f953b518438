/* SPDX-License-Identifier: Apache-2.0 */
/* connect() through io_uring, without liburing. */
#ifndef POSTERN_TESTS_SUPPORT_ATTACKS_CONNECT_RING_H_
#define POSTERN_TESTS_SUPPORT_ATTACKS_CONNECT_RING_H_

#include <stdbool.h>

#include "tests/support/attacks/attack.h"

/* The errno of the connect. One ring for all that a process makes; with `sqpoll`
 * a thread of the kernel takes them from it. */
int ring_connect(bool sqpoll, int fd, const union attack_address* address);

#endif /* POSTERN_TESTS_SUPPORT_ATTACKS_CONNECT_RING_H_ */
