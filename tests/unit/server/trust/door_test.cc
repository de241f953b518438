// SPDX-License-Identifier: Apache-2.0
// The door with nothing behind it but the sockets that it hands over.
#include "server/trust/door.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <openssl/err.h>
#include <poll.h>
#include <sys/socket.h>

#include <fstream>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/metrics/family.h"
#include "common/mutex.h"
#include "common/pki/authority.h"
#include "common/tls/certificate.h"
#include "common/tls/context.h"
#include "common/tls/tunnel.h"
#include "tests/support/certificates.h"
#include "tests/support/free_port.h"
#include "tests/support/process.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/wall_clock.h"

namespace postern::server {
namespace {

class DoorTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { signal(SIGPIPE, SIG_IGN); }

  DoorTest() { config_.pki_folder = folder_ / "pki"; }
  ~DoorTest() override { support::MoveWallClock(absl::ZeroDuration()); }

  void Open() {
    config_.listen = {"127.0.0.1:" + port_};
    Door::Inside inside;
    inside.take = [this](std::optional<pki::Role>, UniqueFd connection) {
      // The server's first byte: whom it greets it has taken.
      send(connection.get(), "!", 1, MSG_NOSIGNAL);
      MutexLock lock(&mutex_);
      taken_.push_back(std::move(connection));
    };
    inside.max_message_bytes = [](std::optional<pki::Role>) { return size_t{1} << 20; };
    auto door = Door::Open(config_, &peers_, &conduct_, &figures_, inside);
    ASSERT_TRUE(door.ok()) << door.status();
    door_ = *std::move(door);
  }
  size_t taken() {
    MutexLock lock(&mutex_);
    return taken_.size();
  }

  tls::ContextPtr Agent(const std::string& host, absl::Time since = absl::Now()) {
    const tls::KeyPtr key = tls::MakeKey().value();
    const tls::RequestPtr request = tls::MakeRequest(*key).value();
    const std::string certificate =
        authority_.IssueAgent(host, tls::ToPem(*request), since, absl::Hours(1)).value();
    const std::string file = absl::StrCat(folder_.path(), "/", host, ".pem");
    std::ofstream(file) << certificate << tls::ToPem(*key);
    chmod(file.c_str(), 0600);
    return tls::MakeClientContext(
               tls::LoadCredentials(
                   {.ca = config_.pki_folder + "/ca.pem", .cert = file, .key = file, .crl = ""})
                   .value())
        .value();
  }
  std::unique_ptr<tls::Tunnel> Dial(tls::ContextPtr context) const {
    return tls::Tunnel::Start("the collector", {"127.0.0.1", port_}, std::move(context)).value();
  }
  std::unique_ptr<tls::Tunnel> Dial(const tls::Files& files) const {
    return Dial(tls::MakeClientContext(tls::LoadCredentials(files).value()).value());
  }
  // Invalid where nobody listens.
  UniqueFd Connect() const {
    UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    int port = 0;
    EXPECT_TRUE(absl::SimpleAtoi(port_, &port));
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<uint16_t>(port));
    const auto* const to = reinterpret_cast<sockaddr*>(&address);
    return connect(fd.get(), to, sizeof(address)) == 0 ? std::move(fd) : UniqueFd();
  }
  // Whether so many connections were turned away on those grounds, soon, and for no others
  // than before.
  bool Counted(const std::string& reason, int times) {
    ++turned_away_;
    return support::Eventually([&] {
      std::vector<metrics::Family> families;
      figures_.AddTo(families);
      uint64_t all = 0;
      uint64_t of_reason = 0;
      for (const metrics::Family& family : families) {
        if (family.name != "postern_collector_connections_refused_total") continue;
        for (const metrics::Sample& sample : family.samples) {
          const auto value = static_cast<uint64_t>(sample.value);
          all += value;
          if (sample.labels.at(0).value == reason) of_reason = value;
        }
      }
      return all == turned_away_ && of_reason == static_cast<uint64_t>(times);
    });
  }
  // Whether its peer ends the connection, soon.
  static bool Ends(int fd) {
    return support::Eventually([fd] {
      char bytes[4096];
      const ssize_t got = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
      return got == 0 || (got < 0 && errno != EAGAIN);
    });
  }

  TemporaryFolder folder_;
  TrustConfig config_;
  const std::string port_ = support::FreePort();
  pki::Authority authority_ =
      pki::Authority::Init(folder_ / "pki", {"127.0.0.1"}, absl::Now()).value();
  Peers peers_;
  Conduct conduct_;
  Figures figures_;
  Mutex mutex_;
  std::vector<UniqueFd> taken_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<Door> door_;

 private:
  uint64_t turned_away_ = 0;
};

TEST_F(DoorTest, WhatAnAgentSendsArrivesAndItIsKnown) {
  ASSERT_NO_FATAL_FAILURE(Open());
  const auto tunnel = Dial(Agent("web1"));
  ASSERT_EQ(tunnel->WaitUntilAnswered(), absl::OkStatus());
  const UniqueFd end = tunnel->TakeEnd();
  const std::string preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  ASSERT_EQ(send(end.get(), preface.data(), preface.size(), MSG_NOSIGNAL), 24);
  MutexLock lock(&mutex_);
  pollfd wait = {taken_.at(0).get(), POLLIN, 0};
  ASSERT_EQ(poll(&wait, 1, 10'000), 1);
  char bytes[64] = {};
  EXPECT_EQ(recv(wait.fd, bytes, sizeof(bytes), 0), 24);
  const auto bearer = peers_.Find(absl::StrCat("fd:", wait.fd));
  ASSERT_NE(bearer, nullptr);
  EXPECT_EQ(bearer->Title(), "agent web1");
}

TEST_F(DoorTest, RevokedAgentIsCutOffThoughTheClockWasSetBack) {
  ASSERT_NO_FATAL_FAILURE(Open());
  const auto tunnel = Dial(Agent("web1"));
  ASSERT_EQ(tunnel->WaitUntilAnswered(), absl::OkStatus());
  const UniqueFd end = tunnel->TakeEnd();
  const absl::Time now = absl::Now();
  support::MoveWallClock(-absl::Hours(1));
  ASSERT_EQ(authority_.Revoke(pki::Role::kAgent, "web1", now), absl::OkStatus());
  EXPECT_TRUE(Ends(end.get()));
}

TEST_F(DoorTest, AgentThatANewListOfAnOwnCaRevokesIsCutOff) {
  const support::TestAuthority own(folder_.path(), "own");
  config_.files = own.Server({"127.0.0.1"});
  config_.files.crl = own.Revoke({});
  ASSERT_NO_FATAL_FAILURE(Open());
  const tls::Files web1 = own.Agent("web1");
  const auto mine = Dial(web1);
  const auto other = Dial(own.Agent("web2"));
  ASSERT_EQ(mine->WaitUntilAnswered(), absl::OkStatus());
  ASSERT_EQ(other->WaitUntilAnswered(), absl::OkStatus());
  own.Revoke({web1});
  EXPECT_TRUE(Ends(mine->TakeEnd().get()));
  EXPECT_FALSE(Dial(web1)->WaitUntilAnswered().ok());
  const UniqueFd end = other->TakeEnd();
  char bytes[2] = {};
  EXPECT_EQ(recv(end.get(), bytes, sizeof(bytes), MSG_DONTWAIT), 1);
  EXPECT_EQ(recv(end.get(), bytes, sizeof(bytes), MSG_DONTWAIT), -1);
}

TEST_F(DoorTest, WhoIsTurnedAwayIsCountedByTheReason) {
  config_.connections_per_agent = 1;
  ASSERT_NO_FATAL_FAILURE(Open());
  const UniqueFd web = Connect();
  const std::string asks = "GET / HTTP/1.0\r\n\r\n";
  ASSERT_EQ(send(web.get(), asks.data(), asks.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(asks.size()));
  EXPECT_TRUE(Counted("no_tls", 1));
  Connect().reset();
  EXPECT_TRUE(Counted("no_tls", 2));

  const support::TestAuthority theirs(folder_.path(), "theirs");
  tls::Files stranger = theirs.Agent("web1");
  stranger.ca = config_.pki_folder + "/ca.pem";
  EXPECT_FALSE(Dial(stranger)->WaitUntilAnswered().ok());
  EXPECT_TRUE(Counted("not_believed", 1));
  EXPECT_FALSE(Dial(Agent("web1", absl::Now() - absl::Hours(2)))->WaitUntilAnswered().ok());
  EXPECT_TRUE(Counted("expired", 1));

  const auto revoked = Dial(Agent("web2"));
  ASSERT_EQ(revoked->WaitUntilAnswered(), absl::OkStatus());
  ASSERT_EQ(authority_.Revoke(pki::Role::kAgent, "web2", absl::Now()), absl::OkStatus());
  EXPECT_TRUE(Counted("revoked", 1));

  const auto first = Dial(Agent("web3"));
  ASSERT_EQ(first->WaitUntilAnswered(), absl::OkStatus());
  EXPECT_FALSE(Dial(Agent("web3"))->WaitUntilAnswered().ok());
  EXPECT_TRUE(Counted("too_many", 1));

  const UniqueFd end = first->TakeEnd();
  ASSERT_EQ(send(end.get(), asks.data(), asks.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(asks.size()));
  EXPECT_TRUE(Counted("garbage", 1));

  Bearer often;
  often.role = pki::Role::kAgent;
  often.name = "web4";
  EXPECT_FALSE(conduct_.Allow(often, Conduct::kAgentPoints + 1, "a test"));
  EXPECT_FALSE(Dial(Agent("web4"))->WaitUntilAnswered().ok());
  EXPECT_TRUE(Counted("shut_out", 1));
}

TEST_F(DoorTest, CertificatesThatAnOwnCaGivesNoRoleAreCountedAsSuch) {
  const support::TestAuthority own(folder_.path(), "own");
  config_.files = own.Server({"127.0.0.1"});
  ASSERT_NO_FATAL_FAILURE(Open());
  EXPECT_FALSE(Dial(own.Make("nobody", {}))->WaitUntilAnswered().ok());
  EXPECT_TRUE(Counted("no_role", 1));
  // One that believes whatever the collector shows, and shows nothing itself.
  const UniqueFd fd = Connect();
  const tls::ContextPtr context(SSL_CTX_new(TLS_client_method()));
  const tls::SslPtr ssl(SSL_new(context.get()));
  ASSERT_EQ(SSL_set_fd(ssl.get(), fd.get()), 1);
  SSL_connect(ssl.get());
  ERR_clear_error();
  EXPECT_TRUE(Counted("no_certificate", 1));
}

TEST_F(DoorTest, HalfOpenConnectionsDoNotTakeTheLastPlaces) {
  config_.connections = 3;
  ASSERT_NO_FATAL_FAILURE(Open());
  std::vector<UniqueFd> open(6);
  for (int i = 0; i < 3; ++i) open[i] = Connect();
  const auto first = Dial(Agent("web1"));
  EXPECT_EQ(first->WaitUntilAnswered(), absl::OkStatus());
  EXPECT_TRUE(Ends(open[0].get()));
  // Nor do they push out who has shown a certificate.
  for (int i = 3; i < 6; ++i) open[i] = Connect();
  const auto second = Dial(Agent("web2"));
  EXPECT_EQ(second->WaitUntilAnswered(), absl::OkStatus());
  const auto third = Dial(Agent("web3"));
  EXPECT_EQ(third->WaitUntilAnswered(), absl::OkStatus());
  EXPECT_FALSE(Dial(Agent("web4"))->WaitUntilAnswered().ok());
  EXPECT_EQ(first->failure(), absl::OkStatus());
  EXPECT_EQ(taken(), 3u);
}

TEST_F(DoorTest, WhoChangesKeysWithoutEndIsCutOff) {
  ASSERT_NO_FATAL_FAILURE(Open());
  const UniqueFd fd = Connect();
  // Without a certificate: anybody can.
  const tls::ContextPtr context = tls::MakePinnedContext(authority_.Fingerprint()).value();
  const tls::SslPtr ssl(SSL_new(context.get()));
  ASSERT_EQ(SSL_set_fd(ssl.get(), fd.get()), 1);
  ASSERT_EQ(SSL_connect(ssl.get()), 1);
  for (int i = 0; i < 100; ++i) {
    if (SSL_key_update(ssl.get(), SSL_KEY_UPDATE_NOT_REQUESTED) != 1) break;
    if (SSL_do_handshake(ssl.get()) != 1) break;
  }
  ERR_clear_error();
  // Sooner than it would be for having taken too long.
  const absl::Time began = absl::Now();
  EXPECT_TRUE(Ends(fd.get()));
  EXPECT_LT(absl::Now() - began, absl::Seconds(10));
}

TEST_F(DoorTest, ClosesWhileConnectionsComeAndGo) {
  ASSERT_NO_FATAL_FAILURE(Open());
  const tls::ContextPtr context = tls::MakePinnedContext(authority_.Fingerprint()).value();
  std::vector<std::thread> peers(4);
  for (std::thread& peer : peers) {
    peer = std::thread([&] {
      while (true) {
        const UniqueFd fd = Connect();
        if (!fd.valid()) return;
        const tls::SslPtr ssl(SSL_new(context.get()));
        SSL_set_fd(ssl.get(), fd.get());
        SSL_connect(ssl.get());
        ERR_clear_error();
      }
    });
  }
  EXPECT_TRUE(support::Eventually([&] { return taken() >= 20; }));
  door_.reset();
  for (std::thread& peer : peers) peer.join();
}

}  // namespace
}  // namespace postern::server
