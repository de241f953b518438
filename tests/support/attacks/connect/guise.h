/* SPDX-License-Identifier: Apache-2.0 */
/* Who and what the program is when it connects. */
#ifndef POSTERN_TESTS_SUPPORT_ATTACKS_CONNECT_GUISE_H_
#define POSTERN_TESTS_SUPPORT_ATTACKS_CONNECT_GUISE_H_

#include "tests/support/attacks/connect/options.h"

/* New pid and cgroup namespaces. Before the credentials: unsharing these wants
 * root. Goes on in a child, which dies after so many seconds. */
void enter_container(unsigned deadline);
/* A file of /proc/PID/ns, or open(2) of one; likewise. */
void enter_network(const char* path);
/* With loopback, and a listener of any address on that port. */
void enter_network_namespace(int port);
/* A folder of cgroup v2. */
void enter_cgroup(const char* path);
/* As after pids have wrapped: goes on, likewise, in a child with a lower pid. */
void take_low_pid(unsigned deadline);
void take_credentials(const struct options* options);
/* Real and effective ids change places. */
void swap_ids(void);
/* A new one, without a mapping. */
void enter_user_namespace(void);
/* Overwrites argv, and sets comm. */
void take_title(const char* text, int argc, char** argv);

#endif /* POSTERN_TESTS_SUPPORT_ATTACKS_CONNECT_GUISE_H_ */
