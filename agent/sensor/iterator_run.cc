// SPDX-License-Identifier: Apache-2.0
#include "agent/sensor/iterator_run.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

#include "absl/strings/str_cat.h"
#include "common/status.h"
#include "common/unique_fd.h"

namespace postern::sensor {

absl::StatusOr<std::string> RunIterator(const bpf_program* program, bpf_iter_link_info* target) {
  LIBBPF_OPTS(bpf_iter_attach_opts, options);
  if (target != nullptr) {
    options.link_info = target;
    options.link_info_len = sizeof(*target);
  }
  const auto failed = [program] {
    return ErrnoStatus(errno, absl::StrCat("running the iterator ", bpf_program__name(program)));
  };
  const std::unique_ptr<bpf_link, decltype(&bpf_link__destroy)> link(
      bpf_program__attach_iter(program, &options), &bpf_link__destroy);
  if (link == nullptr) return failed();
  const UniqueFd iterator(bpf_iter_create(bpf_link__fd(link.get())));
  if (!iterator.valid()) return failed();

  std::string output;
  char buffer[4096];
  while (true) {
    const ssize_t bytes = read(iterator.get(), buffer, sizeof(buffer));
    if (bytes == 0) return output;
    if (bytes > 0) {
      output.append(buffer, static_cast<size_t>(bytes));
    } else if (errno != EINTR && errno != EAGAIN) {
      // EAGAIN: the kernel met its limit of steps for one read; the next goes on.
      return failed();
    }
  }
}

}  // namespace postern::sensor
