// SPDX-License-Identifier: Apache-2.0
// A connection over a socket pair, by a clock of the test.
#include "server/trust/connection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/err.h>
#include <sys/socket.h>

#include <csignal>

#include "absl/strings/match.h"
#include "common/steady_clock.h"
#include "tests/support/certificates.h"
#include "tests/support/temporary_folder.h"

namespace postern::server {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr absl::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

class ConnectionTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { signal(SIGPIPE, SIG_IGN); }

  ConnectionTest() {
    int ends[2] = {};
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    client_fd_.reset(ends[0]);
    connection_ = Connection::Begin(UniqueFd(ends[1]), "192.0.2.1", judge_, now_);
  }

  static TrustConfig Config(const tls::Files& files) {
    TrustConfig config;
    config.files = files;
    return config;
  }
  // Both sides in turn, until the agent web1 is known.
  void ShakeHands() {
    client_.reset(SSL_new(context_.get()));
    ASSERT_EQ(SSL_set_fd(client_.get(), client_fd_.get()), 1);
    bool shaken = false;
    for (int i = 0; i < 10 && !shaken; ++i) {
      SSL_connect(client_.get());
      ERR_clear_error();
      const absl::StatusOr<bool> done = connection_->ShakeHands();
      ASSERT_TRUE(done.ok()) << done.status();
      shaken = *done;
    }
    ASSERT_TRUE(shaken);
    ASSERT_NE(connection_->shown(), nullptr);
    inside_ = connection_->Open(connection_->shown(), /*max_message_bytes=*/1000, now_).value();
  }
  void Send(absl::string_view bytes) {
    ASSERT_EQ(SSL_write(client_.get(), bytes.data(), static_cast<int>(bytes.size())),
              static_cast<int>(bytes.size()));
  }
  std::string Ending() const {
    const auto ended = connection_->Ended(now_);
    if (!ended.has_value()) return "open";
    return ended->offence ? "offence: " + ended->why : ended->why;
  }

  TemporaryFolder folder_;
  const support::TestAuthority ca_{folder_.path(), "ca"};
  const TrustConfig config_ = Config(ca_.Server({"127.0.0.1"}));
  const Identity identity_ = Identity::Load(config_).value();
  const Conduct conduct_;
  const Admission admission_{10, 4};
  const Judge judge_{config_.roles, identity_, conduct_, admission_};
  const tls::ContextPtr context_ =
      tls::MakeClientContext(tls::LoadCredentials(ca_.Agent("web1")).value()).value();
  absl::Time now_ = SteadyNow();
  UniqueFd client_fd_;
  tls::SslPtr client_;
  UniqueFd inside_;
  std::unique_ptr<Connection> connection_;
};

TEST_F(ConnectionTest, IsKnownByTheCertificateThatItShows) {
  EXPECT_EQ(connection_->Who(), "somebody at 192.0.2.1");
  ASSERT_NO_FATAL_FAILURE(ShakeHands());
  EXPECT_EQ(connection_->Who(), "agent web1 at 192.0.2.1");
  EXPECT_FALSE(connection_->stranger());
}

TEST_F(ConnectionTest, HandshakeHasADeadline) {
  EXPECT_THAT(connection_->Overdue(now_ + absl::Seconds(9)), IsEmpty());
  EXPECT_THAT(connection_->Overdue(now_ + Connection::kHandshake),
              HasSubstr("showed no certificate for 10s"));
}

TEST_F(ConnectionTest, SilenceHasADeadlineThatBytesPutOff) {
  ASSERT_NO_FATAL_FAILURE(ShakeHands());
  now_ += absl::Minutes(4);
  Send(kPreface);
  EXPECT_EQ(connection_->Carry(1000, now_).received, kPreface.size());
  now_ += absl::Minutes(4);
  EXPECT_THAT(connection_->Overdue(now_), IsEmpty());
  now_ += absl::Minutes(1);
  EXPECT_THAT(connection_->Overdue(now_), HasSubstr("was silent for 5m"));
}

TEST_F(ConnectionTest, WhatIsSentAndNotReadHasADeadline) {
  ASSERT_NO_FATAL_FAILURE(ShakeHands());
  const std::string block(1 << 16, 'x');
  while (send(inside_.get(), block.data(), block.size(), MSG_NOSIGNAL) > 0) {
    connection_->Carry(1000, now_);
  }
  EXPECT_THAT(connection_->Overdue(now_ + absl::Seconds(59)), IsEmpty());
  EXPECT_THAT(connection_->Overdue(now_ + Connection::kStall), HasSubstr("did not read"));
}

TEST_F(ConnectionTest, GarbageIsAnOffence) {
  ASSERT_NO_FATAL_FAILURE(ShakeHands());
  Send("GET / HTTP/1.1\r\n\r\n");
  connection_->Carry(1000, now_);
  EXPECT_EQ(Ending(), "offence: what it sent is no HTTP/2");
}

TEST_F(ConnectionTest, WhomGrpcClosesForWhatCameIsAnOffender) {
  ASSERT_NO_FATAL_FAILURE(ShakeHands());
  Send(kPreface);
  connection_->Carry(1000, now_);
  EXPECT_EQ(Ending(), "open");
  inside_.reset();
  now_ += absl::Seconds(1);
  connection_->Carry(1000, now_);
  EXPECT_EQ(Ending(), "offence: what it sent breaks the rules of HTTP/2");
}

TEST_F(ConnectionTest, WhomGrpcClosesForItsSilenceIsNone) {
  ASSERT_NO_FATAL_FAILURE(ShakeHands());
  Send(kPreface);
  connection_->Carry(1000, now_);
  // A ping that is not answered: a machine that lost its power, or stands still.
  inside_.reset();
  now_ += absl::Seconds(10);
  connection_->Carry(1000, now_);
  EXPECT_EQ(Ending(), "it does not answer");
}

}  // namespace
}  // namespace postern::server
