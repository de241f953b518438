// SPDX-License-Identifier: Apache-2.0
#ifndef POSTERN_TESTS_KERNEL_CGROUP_TREE_H_
#define POSTERN_TESTS_KERNEL_CGROUP_TREE_H_

#include <string>
#include <vector>

namespace postern::testing {

// Cgroups of a test's own, gone with this; whoever was in them has ended by then.
class CgroupTree {
 public:
  // `path`, from the root of cgroup v2, and those `below` it, each from a slash on.
  CgroupTree(const std::string& path, const std::vector<std::string>& below);
  ~CgroupTree();
  CgroupTree(const CgroupTree&) = delete;
  CgroupTree& operator=(const CgroupTree&) = delete;

  const std::string& path() const { return path_; }
  // Where the file system has it.
  const std::string& folder() const { return folder_; }

 private:
  void Remove() const;

  const std::string path_;
  std::string folder_;
};

}  // namespace postern::testing

#endif  // POSTERN_TESTS_KERNEL_CGROUP_TREE_H_
