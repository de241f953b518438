// SPDX-License-Identifier: Apache-2.0
// A PHP-FPM pool of user www-data that serves the web shell.
#ifndef POSTERN_TESTS_SUPPORT_LAB_PHP_FPM_H_
#define POSTERN_TESTS_SUPPORT_LAB_PHP_FPM_H_

#include <memory>
#include <string>

#include "tests/support/process.h"

namespace postern::lab {

using support::Process;

class PhpFpm {
 public:
  // `script`: what every request runs.
  PhpFpm(const std::string& root, const std::string& script);

  // The script's answer, without the header.
  std::string Request(const std::string& query);
  pid_t master() const { return master_->pid(); }
  const std::string& binary() const { return binary_; }

 private:
  std::string root_;
  std::string script_;
  std::string binary_;
  std::unique_ptr<Process> master_;
};

}  // namespace postern::lab

#endif  // POSTERN_TESTS_SUPPORT_LAB_PHP_FPM_H_
