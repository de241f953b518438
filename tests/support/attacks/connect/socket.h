/* SPDX-License-Identifier: Apache-2.0 */
/* What is done with a socket beside connecting it. */
#ifndef POSTERN_TESTS_SUPPORT_ATTACKS_CONNECT_SOCKET_H_
#define POSTERN_TESTS_SUPPORT_ATTACKS_CONNECT_SOCKET_H_

/* Prints `peer=ADDRESS peer_port=PORT ` once it is connected, `peer=ERRNO ` where
 * that fails: the beginning of the attempt's line. */
void show_peer(int fd);
/* Back to a socket that was never connected. */
void disconnect(int fd);
/* Takes all of the memory for options that the kernel grants one socket. */
void use_up_option_memory(int fd);

#endif /* POSTERN_TESTS_SUPPORT_ATTACKS_CONNECT_SOCKET_H_ */
