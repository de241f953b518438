/* SPDX-License-Identifier: Apache-2.0 */
/* Where a SYN of `raw` says that it comes from; answers to it are what a test looks for. */
#ifndef POSTERN_TESTS_SUPPORT_ATTACKS_RAW_SOURCE_PORT_H_
#define POSTERN_TESTS_SUPPORT_ATTACKS_RAW_SOURCE_PORT_H_

#define SEGMENT_SOURCE_PORT 20077

#endif /* POSTERN_TESTS_SUPPORT_ATTACKS_RAW_SOURCE_PORT_H_ */
