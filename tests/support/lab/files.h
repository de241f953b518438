// SPDX-License-Identifier: Apache-2.0
// Small files that a test writes and looks into.
#ifndef POSTERN_TESTS_SUPPORT_LAB_FILES_H_
#define POSTERN_TESTS_SUPPORT_LAB_FILES_H_

#include <sys/types.h>

#include <string>

namespace postern::lab {

// "" for a file that cannot be read.
std::string ReadFile(const std::string& path);
void WriteFile(const std::string& path, const std::string& text, mode_t mode = 0644);

}  // namespace postern::lab

#endif  // POSTERN_TESTS_SUPPORT_LAB_FILES_H_
