// SPDX-License-Identifier: Apache-2.0
// A disk that can be filled: a small tmpfs in a mount namespace of its own, which lasts
// as long as this. Daemons on it are started with There(), and stopped before it goes.
#ifndef POSTERN_TESTS_SUPPORT_LAB_SMALL_DISK_H_
#define POSTERN_TESTS_SUPPORT_LAB_SMALL_DISK_H_

#include <memory>
#include <string>
#include <vector>

#include "tests/support/process.h"

namespace postern::lab {

class SmallDisk {
 public:
  // Mounted on `folder`, which is there. Fails the test.
  SmallDisk(const std::string& folder, int mebibytes);

  // What a command begins with that sees it.
  std::vector<std::string> There() const;
  // A file on it, from outside.
  std::string Path(const std::string& name) const;

  // Somebody else writes until there is no room left; and takes it away again.
  void Fill() const;
  void MakeRoom() const;

 private:
  const std::string folder_;
  const std::unique_ptr<support::Process> holder_;
};

}  // namespace postern::lab

#endif  // POSTERN_TESTS_SUPPORT_LAB_SMALL_DISK_H_
