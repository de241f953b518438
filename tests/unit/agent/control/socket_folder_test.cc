// SPDX-License-Identifier: Apache-2.0
#include "agent/control/socket_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "common/unique_fd.h"
#include "tests/support/temporary_folder.h"

namespace postern::control {
namespace {

using testing::HasSubstr;

UniqueFd Listen(const std::string& path) {
  UniqueFd socket_fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
  EXPECT_EQ(bind(socket_fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  EXPECT_EQ(listen(socket_fd.get(), 1), 0);
  return socket_fd;
}

mode_t ModeOf(const std::string& path) {
  struct stat file = {};
  return stat(path.c_str(), &file) == 0 ? file.st_mode & 07777 : 07777;
}

class SocketFolderTest : public testing::Test {
 protected:
  TemporaryFolder folder_;
  const std::string run_ = folder_ / "run";
};

TEST_F(SocketFolderTest, ASocketGetsItsNameOnlyWhenItIsAsItShouldBe) {
  auto sockets = SocketFolder::Create(run_);
  ASSERT_TRUE(sockets.ok()) << sockets.status();
  const auto path = (*sockets)->PrivatePath("read.sock");
  ASSERT_TRUE(path.ok());
  EXPECT_EQ(ModeOf(std::filesystem::path(*path).parent_path()), 0700u);
  const UniqueFd listening = Listen(*path);
  EXPECT_FALSE(std::filesystem::exists(run_ + "/read.sock"));
  ASSERT_TRUE((*sockets)->PutInPlace("read.sock", getgid()).ok());
  (*sockets)->RemovePrivateFolder();
  EXPECT_FALSE(std::filesystem::exists(*path));
  EXPECT_EQ(ModeOf(run_ + "/read.sock"), 0660u);
  EXPECT_EQ(ModeOf(run_), 0755u);
}

TEST_F(SocketFolderTest, TheFolderCanBePassedThroughWhateverTheUmask) {
  const mode_t before = umask(077);
  const auto sockets = SocketFolder::Create(run_);
  umask(before);
  ASSERT_TRUE(sockets.ok()) << sockets.status();
  EXPECT_EQ(ModeOf(run_), 0755u);
}

TEST_F(SocketFolderTest, WithoutAGroupItIsTheOwnersAlone) {
  auto sockets = SocketFolder::Create(run_);
  ASSERT_TRUE(sockets.ok());
  const UniqueFd listening = Listen(*(*sockets)->PrivatePath("admin.sock"));
  ASSERT_TRUE((*sockets)->PutInPlace("admin.sock", std::nullopt).ok());
  EXPECT_EQ(ModeOf(run_ + "/admin.sock"), 0600u);
}

TEST_F(SocketFolderTest, WhatAKilledAgentLeftIsReplaced) {
  ASSERT_EQ(mkdir(run_.c_str(), 0755), 0);
  std::ofstream(run_ + "/read.sock") << "stale";
  auto sockets = SocketFolder::Create(run_);
  ASSERT_TRUE(sockets.ok());
  const UniqueFd listening = Listen(*(*sockets)->PrivatePath("read.sock"));
  ASSERT_TRUE((*sockets)->PutInPlace("read.sock", std::nullopt).ok());
  EXPECT_TRUE(std::filesystem::is_socket(run_ + "/read.sock"));
}

TEST_F(SocketFolderTest, NothingIsLeftBehind) {
  {
    auto sockets = SocketFolder::Create(run_);
    ASSERT_TRUE(sockets.ok());
    const UniqueFd listening = Listen(*(*sockets)->PrivatePath("read.sock"));
    ASSERT_TRUE((*sockets)->PutInPlace("read.sock", std::nullopt).ok());
  }
  EXPECT_TRUE(std::filesystem::is_empty(run_));
}

TEST_F(SocketFolderTest, ASocketThatCannotHaveItsNameLeavesNothingBehind) {
  std::filesystem::create_directories(run_ + "/read.sock");
  {
    auto sockets = SocketFolder::Create(run_);
    ASSERT_TRUE(sockets.ok());
    const UniqueFd listening = Listen(*(*sockets)->PrivatePath("read.sock"));
    EXPECT_FALSE((*sockets)->PutInPlace("read.sock", std::nullopt).ok());
  }
  EXPECT_TRUE(std::filesystem::remove(run_ + "/read.sock"));
  EXPECT_TRUE(std::filesystem::is_empty(run_));
}

TEST_F(SocketFolderTest, AFolderThatOthersMayWriteToIsRefused) {
  ASSERT_EQ(mkdir(run_.c_str(), 0777), 0);
  ASSERT_EQ(chmod(run_.c_str(), 0777), 0);
  EXPECT_THAT(std::string(SocketFolder::Create(run_).status().message()), HasSubstr("writable"));
}

TEST_F(SocketFolderTest, WhatIsNoFolderIsRefused) {
  std::ofstream(run_) << "file";
  EXPECT_FALSE(SocketFolder::Create(run_).ok());
  EXPECT_FALSE(SocketFolder::Create("/nonexistent/run").ok());
}

TEST_F(SocketFolderTest, APathTooLongForASocketIsRefusedByName) {
  const std::string longer = folder_ / std::string(100, 'x');
  auto sockets = SocketFolder::Create(longer);
  ASSERT_TRUE(sockets.ok());
  EXPECT_THAT(std::string((*sockets)->PrivatePath("read.sock").status().message()),
              HasSubstr("too long"));
}

}  // namespace
}  // namespace postern::control
