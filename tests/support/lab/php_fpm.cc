// SPDX-License-Identifier: Apache-2.0
#include "tests/support/lab/php_fpm.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/support/lab/files.h"

namespace postern::lab {

using support::Eventually;

PhpFpm::PhpFpm(const std::string& root, const std::string& script) : root_(root), script_(script) {
  std::filesystem::create_directories(root_);
  for (const auto& entry : std::filesystem::directory_iterator("/usr/sbin")) {
    if (absl::StartsWith(entry.path().filename().string(), "php-fpm") && !entry.is_symlink()) {
      binary_ = entry.path();
    }
  }
  EXPECT_NE(binary_, "") << "/usr/sbin/php-fpm* is not installed";
  const std::string socket = root_ + "/socket";
  WriteFile(root_ + "/fpm.conf",
            absl::StrCat("[global]\nerror_log = ", root_, "/log\ndaemonize = no\n",
                         "[shop]\nuser = www-data\ngroup = www-data\nlisten = ", socket,
                         "\npm = static\npm.max_children = 2\n"));
  master_ = Process::Start({binary_, "-n", "-F", "-y", root_ + "/fpm.conf"});
  EXPECT_TRUE(Eventually([&] {
    return absl::StrContains(ReadFile(root_ + "/log"), "ready to handle") || !master_->Running();
  })) << ReadFile(root_ + "/log");
  EXPECT_TRUE(master_->Running()) << master_->Error() << ReadFile(root_ + "/log");
}

std::string PhpFpm::Request(const std::string& query) {
  auto client = Process::Start({"cgi-fcgi", "-bind", "-connect", root_ + "/socket"},
                               {.environment = {{"SCRIPT_FILENAME", script_},
                                                {"SCRIPT_NAME", "/shell.php"},
                                                {"REQUEST_METHOD", "GET"},
                                                {"REQUEST_URI", "/shell.php?" + query},
                                                {"QUERY_STRING", query}}});
  EXPECT_EQ(client->Wait().value_or(-1), 0) << client->Error();
  const std::string answer = client->Output();
  const size_t body = answer.find("\r\n\r\n");
  return body == std::string::npos ? answer : answer.substr(body + 4);
}

}  // namespace postern::lab
