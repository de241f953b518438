// SPDX-License-Identifier: Apache-2.0
// A folder for the length of a test.
#ifndef POSTERN_TESTS_UNIT_AGENT_TEMPORARY_FOLDER_H_
#define POSTERN_TESTS_UNIT_AGENT_TEMPORARY_FOLDER_H_

#include <cstdlib>
#include <filesystem>
#include <string>

namespace postern {

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "postern-test-XXXXXX").string();
    if (mkdtemp(name.data()) != nullptr) path_ = name;
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code error;
    if (!path_.empty()) std::filesystem::remove_all(path_, error);
  }

  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace postern

#endif  // POSTERN_TESTS_UNIT_AGENT_TEMPORARY_FOLDER_H_
