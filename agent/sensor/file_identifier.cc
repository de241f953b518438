// SPDX-License-Identifier: Apache-2.0
#include "agent/sensor/file_identifier.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "agent/sensor/iterator_run.h"
#include "bpf/abi/state.h"
#include "common/status.h"
#include "common/unique_fd.h"

namespace postern::sensor {

absl::StatusOr<policy::BinaryId> FileIdentifier::Identify(const std::string& path) const {
  const UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file.valid()) return ErrnoStatus(errno, path);

  bpf_iter_link_info only_us = {};
  only_us.task.pid = static_cast<uint32_t>(getpid());
  MutexLock lock(&one_at_a_time_);
  absl::StatusOr<std::string> output = RunIterator(iterator_, &only_us);
  // Before 6.1 the kernel knows no such filter; the program looks at our files only.
  if (!output.ok()) output = RunIterator(iterator_, nullptr);
  if (!output.ok()) return output.status();

  postern_identified_file found;
  for (size_t at = 0; at + sizeof(found) <= output->size(); at += sizeof(found)) {
    memcpy(&found, output->data() + at, sizeof(found));
    if (found.fd != static_cast<uint32_t>(file.get())) continue;
    if (found.path.high == 0 && found.path.low == 0) {
      return absl::FailedPreconditionError(
          absl::StrCat(path,
                       ": its path in its file system is too long, or it was deleted; no "
                       "rule can name it"));
    }
    return policy::BinaryId{.device = found.device, .path = found.path};
  }
  return absl::InternalError(absl::StrCat(path, ": the kernel's iterator did not show it"));
}

}  // namespace postern::sensor
