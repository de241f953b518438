// SPDX-License-Identifier: Apache-2.0
#include "common/unix_socket.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>

namespace postern {
namespace {

TEST(UnixSocketTest, IsItsOwnersAloneWhateverTheUmask) {
  std::string folder = (std::filesystem::temp_directory_path() / "postern-test-XXXXXX").string();
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  const mode_t before = umask(0);
  const absl::StatusOr<UniqueFd> listening = ListenOnUnixSocket(folder + "/a.sock");
  umask(before);
  ASSERT_TRUE(listening.ok()) << listening.status();
  struct stat file = {};
  EXPECT_EQ(stat((folder + "/a.sock").c_str(), &file), 0);
  EXPECT_EQ(file.st_mode & 07777, 0600u);
  EXPECT_TRUE(
      absl::IsInvalidArgument(ListenOnUnixSocket(folder + "/" + std::string(200, 'x')).status()));
  // Of somebody else, perhaps.
  EXPECT_FALSE(ListenOnUnixSocket(folder + "/a.sock").ok());
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace postern
