// SPDX-License-Identifier: Apache-2.0
#include "common/unix_acceptor.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>

#include "common/mutex.h"
#include "common/unix_socket.h"
#include "tests/support/idle_connections.h"
#include "tests/support/process.h"

namespace postern {
namespace {

using support::Eventually;
using support::FileLimit;

constexpr uid_t kNobody = 65534;

UniqueFd NewSocket() { return UniqueFd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)); }

// Nobody writes on it.
bool Closed(const UniqueFd& connection) {
  pollfd closed = {.fd = connection.get(), .events = POLLIN, .revents = 0};
  return poll(&closed, 1, 0) > 0;
}

// Takes what goes to standard error. Looking at it opens no file.
class LogOfThisTest {
 public:
  LogOfThisTest() { dup3(log_.get(), STDERR_FILENO, 0); }
  ~LogOfThisTest() { dup3(before_.get(), STDERR_FILENO, 0); }
  LogOfThisTest(const LogOfThisTest&) = delete;
  LogOfThisTest& operator=(const LogOfThisTest&) = delete;

  bool Has(const std::string& text) const {
    std::string log(4096, '\0');
    const ssize_t size = pread(log_.get(), log.data(), log.size(), 0);
    return size > 0 && log.substr(0, static_cast<size_t>(size)).find(text) != std::string::npos;
  }

 private:
  const UniqueFd before_{fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0)};
  const UniqueFd log_{memfd_create("log", MFD_CLOEXEC)};
};

class UnixAcceptorTest : public testing::Test {
 protected:
  UnixAcceptorTest() {
    EXPECT_NE(mkdtemp(folder_.data()), nullptr);
    // For the other user.
    EXPECT_EQ(chmod(folder_.c_str(), 0755), 0);
  }
  ~UnixAcceptorTest() override { std::filesystem::remove_all(folder_); }

  std::unique_ptr<UnixAcceptor> Accepting(UnixAcceptor::Limits limits) {
    auto acceptor = std::make_unique<UnixAcceptor>("test.sock", limits, [this](UniqueFd fd) {
      MutexLock lock(&mutex_);
      taken_.push_back(std::move(fd));
    });
    acceptor->AcceptFrom(Listening());
    return acceptor;
  }

  // Anew, in place of the one before.
  UniqueFd Listening() {
    unlink(Path().c_str());
    absl::StatusOr<UniqueFd> listening = ListenOnUnixSocket(Path());
    EXPECT_TRUE(listening.ok()) << listening.status();
    EXPECT_EQ(chmod(Path().c_str(), 0666), 0);
    return listening.ok() ? *std::move(listening) : UniqueFd();
  }

  bool Connect(const UniqueFd& fd) const {
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    strncpy(address.sun_path, Path().c_str(), sizeof(address.sun_path) - 1);
    return connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
  }
  // Whether a new connection is one that stays: it is in `taken_` then.
  bool Admitted(UniqueFd& connection) {
    const size_t before = Taken();
    connection = NewSocket();
    if (!Connect(connection)) return false;
    return Eventually([&] { return Taken() > before || Closed(connection); }) && Taken() > before;
  }
  size_t Taken() {
    MutexLock lock(&mutex_);
    return taken_.size();
  }
  void CloseOneTaken() {
    MutexLock lock(&mutex_);
    taken_.pop_back();
  }
  std::string Path() const { return folder_ + "/test.sock"; }

  std::string folder_ = (std::filesystem::temp_directory_path() / "postern-test-XXXXXX").string();
  Mutex mutex_;
  std::vector<UniqueFd> taken_ ABSL_GUARDED_BY(mutex_);
};

TEST_F(UnixAcceptorTest, PastTheLimitIsRefusedUntilAPlaceIsFree) {
  const auto acceptor = Accepting({.all = 2, .of_one_user = 2});
  UniqueFd connections[4];
  EXPECT_TRUE(Admitted(connections[0]));
  EXPECT_TRUE(Admitted(connections[1]));
  EXPECT_FALSE(Admitted(connections[2]));
  CloseOneTaken();
  EXPECT_TRUE(Admitted(connections[2]));
  EXPECT_FALSE(Admitted(connections[3]));
}

TEST_F(UnixAcceptorTest, AFileThatGotTheNumberOfAClosedConnectionTakesNoPlace) {
  const auto acceptor = Accepting({.all = 1, .of_one_user = 1});
  UniqueFd connections[2];
  ASSERT_TRUE(Admitted(connections[0]));
  UniqueFd other[2] = {NewSocket(), UniqueFd()};
  {
    MutexLock lock(&mutex_);
    // Closes the connection.
    ASSERT_GE(dup3(other[0].get(), taken_.back().get(), O_CLOEXEC), 0);
  }
  EXPECT_TRUE(Admitted(connections[1]));
}

TEST_F(UnixAcceptorTest, OneUserLeavesPlacesToOthers) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root, to connect as another user";
  const auto acceptor = Accepting({.all = 3, .of_one_user = 2});
  UniqueFd connections[3];
  EXPECT_TRUE(Admitted(connections[0]));
  EXPECT_TRUE(Admitted(connections[1]));
  EXPECT_FALSE(Admitted(connections[2]));
  const UniqueFd of_nobody = NewSocket();
  const pid_t nobody = fork();
  if (nobody == 0) _exit(setuid(kNobody) == 0 && Connect(of_nobody) ? 0 : 1);
  int left = -1;
  waitpid(nobody, &left, 0);
  EXPECT_EQ(left, 0);
  EXPECT_TRUE(Eventually([&] { return Taken() == 3; }));
}

TEST_F(UnixAcceptorTest, ConnectionsWaitForDescriptorsAndAreThenAccepted) {
  const auto acceptor = Accepting({.all = 8, .of_one_user = 8});
  UniqueFd connections[4];
  for (UniqueFd& connection : connections) connection = NewSocket();
  {
    const LogOfThisTest log;
    const FileLimit few(1);
    for (const UniqueFd& connection : connections) EXPECT_TRUE(Connect(connection));
    EXPECT_TRUE(Eventually([&] { return log.Has("test.sock: Too many open files"); }));
    // One where accept4(2) had its descriptor before it waited.
    EXPECT_LE(Taken(), 1u);
    EXPECT_FALSE(Closed(connections[3]));
  }
  EXPECT_TRUE(Eventually([&] { return Taken() == 4; }));
}

TEST_F(UnixAcceptorTest, StopsWhileItWaitsForADescriptor) {
  const auto acceptor = Accepting({.all = 8, .of_one_user = 8});
  const UniqueFd connections[2] = {NewSocket(), NewSocket()};
  const LogOfThisTest log;
  const FileLimit few(1);
  for (const UniqueFd& connection : connections) EXPECT_TRUE(Connect(connection));
  EXPECT_TRUE(Eventually([&] { return log.Has("Too many open files"); }));
  acceptor->Stop();
  EXPECT_TRUE(Closed(connections[1]));
}

TEST_F(UnixAcceptorTest, ANewSocketKeepsWhatIsOpenAndCountsIt) {
  const auto acceptor = Accepting({.all = 2, .of_one_user = 2});
  UniqueFd connections[3];
  ASSERT_TRUE(Admitted(connections[0]));
  acceptor->AcceptFrom(Listening());
  EXPECT_TRUE(Admitted(connections[1]));
  EXPECT_FALSE(Admitted(connections[2]));
  EXPECT_FALSE(Closed(connections[0]));
}

TEST_F(UnixAcceptorTest, NobodyListensAfterItsEnd) {
  Accepting({.all = 2, .of_one_user = 2}).reset();
  EXPECT_FALSE(Connect(NewSocket()));
  EXPECT_EQ(errno, ECONNREFUSED);
}

}  // namespace
}  // namespace postern
