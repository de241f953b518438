// SPDX-License-Identifier: Apache-2.0
// Where everything happens: a folder and a network namespace of the bench's
// own, with nothing in it but loopback. Both are gone when it is.
#ifndef POSTERN_TESTS_BENCH_LAB_H_
#define POSTERN_TESTS_BENCH_LAB_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/unique_fd.h"

namespace postern::bench {

class Lab {
 public:
  // Moves the calling thread, which must be the only one, into the namespace.
  static absl::StatusOr<std::unique_ptr<Lab>> Create();
  ~Lab();
  Lab(const Lab&) = delete;
  Lab& operator=(const Lab&) = delete;

  std::string Path(const std::string& name) const { return folder_ + "/" + name; }
  // The namespace that the bench was started in.
  int host_netns() const { return host_netns_.get(); }
  const std::string& cgroup_root() const { return cgroup_root_; }

 private:
  Lab() = default;

  std::string folder_;
  std::string cgroup_root_;
  UniqueFd host_netns_;
};

}  // namespace postern::bench

#endif  // POSTERN_TESTS_BENCH_LAB_H_
