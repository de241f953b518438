// SPDX-License-Identifier: Apache-2.0
#include "tests/kernel/cgroup_tree.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "agent/sensor/cgroup_root.h"

namespace postern::testing {

CgroupTree::CgroupTree(const std::string& path, const std::vector<std::string>& below)
    : path_(path) {
  const absl::StatusOr<std::string> root = sensor::FindCgroupRoot();
  EXPECT_TRUE(root.ok()) << root.status();
  if (!root.ok()) return;
  folder_ = *root + path;
  // Of a run that was killed, with the same pid.
  Remove();
  for (const std::string& each : below) {
    EXPECT_TRUE(std::filesystem::create_directories(folder_ + each)) << each;
  }
}

CgroupTree::~CgroupTree() { Remove(); }

void CgroupTree::Remove() const {
  std::error_code none;
  std::vector<std::filesystem::path> folders = {folder_};
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_, none)) {
    if (entry.is_directory()) folders.push_back(entry.path());
  }
  for (auto it = folders.rbegin(); it != folders.rend(); ++it) rmdir(it->c_str());
}

}  // namespace postern::testing
