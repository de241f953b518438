// SPDX-License-Identifier: Apache-2.0
// Somebody else's program behind Postern's, at the root of cgroup v2: it lets pass
// whatever was denied. For tests of what that does.
#ifndef POSTERN_TESTS_SUPPORT_FOREIGN_PROGRAM_H_
#define POSTERN_TESTS_SUPPORT_FOREIGN_PROGRAM_H_

#include "absl/status/statusor.h"
#include "common/unique_fd.h"

namespace postern::support {

// On connect4 as long as it is kept. Unimplemented where the kernel has no
// bpf_set_retval (before 5.18): there nobody can let pass what another denies.
absl::StatusOr<UniqueFd> AttachOverride();

}  // namespace postern::support

#endif  // POSTERN_TESTS_SUPPORT_FOREIGN_PROGRAM_H_
