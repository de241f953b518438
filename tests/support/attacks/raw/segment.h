/* SPDX-License-Identifier: Apache-2.0 */
/* A TCP segment that opens a connection, made by hand. */
#ifndef POSTERN_TESTS_SUPPORT_ATTACKS_RAW_SEGMENT_H_
#define POSTERN_TESTS_SUPPORT_ATTACKS_RAW_SEGMENT_H_

#include <stddef.h>
#include <stdint.h>

#include "tests/support/attacks/attack.h"

/* Writes a SYN to `to`, IP header included, to `packet`; returns its length. */
size_t segment_write(const union attack_address* to, uint8_t packet[128]);
/* Of the IP header in front of the segment. */
size_t segment_header_bytes(const union attack_address* to);

#endif /* POSTERN_TESTS_SUPPORT_ATTACKS_RAW_SEGMENT_H_ */
