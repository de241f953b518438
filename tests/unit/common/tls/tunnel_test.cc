// SPDX-License-Identifier: Apache-2.0
#include "common/tls/tunnel.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <optional>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/tls/context.h"
#include "common/tls/pipe.h"
#include "tests/support/certificates.h"
#include "tests/support/process.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/wall_clock.h"

namespace postern::tls {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// Takes one connection on loopback, greets with one byte, and gives back what it
// is sent. What is no TLS it leaves.
class EchoServer {
 public:
  explicit EchoServer(ContextPtr context) : context_(std::move(context)) {
    listening_.reset(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    EXPECT_EQ(bind(listening_.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(listening_.get(), 1), 0);
    EXPECT_EQ(getsockname(listening_.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { Serve(); });
  }
  ~EchoServer() {
    shutdown(listening_.get(), SHUT_RDWR);
    thread_.join();
  }

  HostPort At(const std::string& host) const { return {host, absl::StrCat(port_)}; }

 private:
  void Serve() {
    const UniqueFd connection(accept(listening_.get(), nullptr, nullptr));
    const SslPtr ssl(SSL_new(context_.get()));
    if (!connection.valid() || SSL_set_fd(ssl.get(), connection.get()) != 1 ||
        SSL_accept(ssl.get()) != 1 || SSL_write(ssl.get(), "!", 1) != 1) {
      return;
    }
    char buffer[4096];
    int got = 0;
    while ((got = SSL_read(ssl.get(), buffer, sizeof(buffer))) > 0) {
      if (SSL_write(ssl.get(), buffer, got) != got) break;
    }
  }

  const ContextPtr context_;
  UniqueFd listening_;
  uint16_t port_ = 0;
  std::thread thread_;
};

class TunnelTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { signal(SIGPIPE, SIG_IGN); }

  ContextPtr Server(const Files& files) {
    return MakeServerContext(LoadCredentials(files).value(), /*strangers=*/false, /*crl=*/"")
        .value();
  }
  std::unique_ptr<Tunnel> Connect(const EchoServer& server, const Files& files,
                                  const std::string& host = "127.0.0.1") {
    return Tunnel::Start("the server", server.At(host),
                         MakeClientContext(LoadCredentials(files).value()).value())
        .value();
  }
  std::string Failure(const EchoServer& server, const Files& files,
                      const std::string& host = "127.0.0.1") {
    return std::string(Connect(server, files, host)->WaitUntilAnswered().message());
  }

  TemporaryFolder folder_;
  support::TestAuthority ours_{folder_.path(), "ours"};
  support::TestAuthority theirs_{folder_.path(), "theirs"};
  const Files server_ = ours_.Server({"127.0.0.1", "localhost"});
  const Files agent_ = ours_.Agent("web1");
};

// Writes all of `text` and reads as much back, behind the server's greeting.
std::string Echo(int fd, const std::string& text) {
  std::string back;
  size_t sent = 0;
  while (back.size() < text.size() + 1) {
    pollfd wait = {fd, static_cast<short>(POLLIN | (sent < text.size() ? POLLOUT : 0)), 0};
    if (poll(&wait, 1, 10'000) <= 0) break;
    if (sent < text.size()) {
      const ssize_t wrote = send(fd, text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
      if (wrote > 0) sent += static_cast<size_t>(wrote);
    }
    char buffer[65536];
    const ssize_t got = recv(fd, buffer, sizeof(buffer), 0);
    if (got == 0) break;
    if (got > 0) back.append(buffer, static_cast<size_t>(got));
  }
  return back;
}

TEST_F(TunnelTest, CarriesBytesBothWays) {
  const EchoServer server(Server(server_));
  const auto tunnel = Connect(server, agent_);
  ASSERT_EQ(tunnel->WaitUntilAnswered(), absl::OkStatus());
  const UniqueFd end = tunnel->TakeEnd();
  std::string text(3 << 20, ' ');
  for (size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i * 7 / 3);
  const std::string back = Echo(end.get(), text);
  EXPECT_TRUE("!" + text == back) << back.size();
}

TEST_F(TunnelTest, ServerOfAnotherCaIsNotBelieved) {
  const EchoServer server(Server(theirs_.Server({"127.0.0.1"})));
  EXPECT_THAT(Failure(server, agent_), HasSubstr("not believed"));
}

TEST_F(TunnelTest, ServerOfAnotherNameIsNotBelieved) {
  const EchoServer server(Server(ours_.Server({"collector.example.net"})));
  EXPECT_THAT(Failure(server, agent_), HasSubstr("for another name"));
  const EchoServer by_name(Server(ours_.Server({"127.0.0.1"})));
  EXPECT_THAT(Failure(by_name, agent_, "localhost"), HasSubstr("for another name"));
}

TEST_F(TunnelTest, AgentInPlaceOfAServerIsNotBelieved) {
  const EchoServer server(Server(ours_.Make("rogue", {.servers = {"127.0.0.1"}})));
  EXPECT_THAT(Failure(server, agent_), HasSubstr("not believed"));
}

TEST_F(TunnelTest, ExpiredServerIsNotBelieved) {
  const EchoServer server(Server(ours_.Make(
      "late", {.use = Use::kServer, .servers = {"127.0.0.1"}, .ends = -absl::Minutes(1)})));
  EXPECT_THAT(Failure(server, agent_), AllOf(HasSubstr("not believed"), HasSubstr("expired")));
}

TEST_F(TunnelTest, WhatTheServerHoldsAgainstOurCertificateIsTold) {
  {
    const EchoServer server(Server(server_));
    EXPECT_THAT(Failure(server, ours_.Make("late", {.ends = -absl::Minutes(1)})),
                HasSubstr("has expired"));
  }
  const EchoServer server(Server(server_));
  Files stranger = theirs_.Agent("web1");
  stranger.ca = ours_.ca_file();
  EXPECT_THAT(Failure(server, stranger), HasSubstr("does not believe the CA"));
}

TEST_F(TunnelTest, ServerOfTls12IsRefused) {
  ContextPtr old = Server(server_);
  ASSERT_EQ(SSL_CTX_set_min_proto_version(old.get(), TLS1_2_VERSION), 1);
  ASSERT_EQ(SSL_CTX_set_max_proto_version(old.get(), TLS1_2_VERSION), 1);
  const EchoServer server(std::move(old));
  EXPECT_THAT(Failure(server, agent_), HasSubstr("does not speak TLS 1.3"));
}

TEST_F(TunnelTest, PinFindsTheCaAmongWhatTheServerShows) {
  const Credentials credentials = LoadCredentials(server_).value();
  const auto connect = [&](const std::string& pin, const std::string& host) {
    const EchoServer server(MakeServerContext(credentials, /*strangers=*/true, "").value());
    return Tunnel::Start("the server", server.At(host), MakePinnedContext(pin).value())
        .value()
        ->WaitUntilAnswered();
  };
  EXPECT_EQ(connect(ours_.fingerprint(), "127.0.0.1"), absl::OkStatus());
  EXPECT_THAT(std::string(connect(theirs_.fingerprint(), "127.0.0.1").message()),
              HasSubstr("no certificate of the CA with this fingerprint"));
  // The server's own certificate is no CA.
  EXPECT_FALSE(connect(Fingerprint(*credentials.chain[0]), "127.0.0.1").ok());
}

TEST_F(TunnelTest, NobodyThereIsTold) {
  const UniqueFd bound(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  ASSERT_EQ(bind(bound.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(getsockname(bound.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  const auto tunnel =
      Tunnel::Start("the server", {"127.0.0.1", absl::StrCat(ntohs(address.sin_port))},
                    MakeClientContext(LoadCredentials(agent_).value()).value())
          .value();
  EXPECT_THAT(std::string(tunnel->WaitUntilAnswered().message()),
              HasSubstr("the server cannot be reached: Connection refused"));
}

TEST_F(TunnelTest, IsGivenUpWhileNobodyAnswers) {
  const UniqueFd silent(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  ASSERT_EQ(bind(silent.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(listen(silent.get(), 1), 0);
  ASSERT_EQ(getsockname(silent.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  auto tunnel = Tunnel::Start("the server", {"127.0.0.1", absl::StrCat(ntohs(address.sin_port))},
                              MakeClientContext(LoadCredentials(agent_).value()).value())
                    .value();
  // Would take Tunnel::kPatience to fail; goes at once.
  tunnel.reset();
}

TEST_F(TunnelTest, SilentServerIsGivenUpThoughTheClockWasSetBack) {
  const UniqueFd silent(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  ASSERT_EQ(bind(silent.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(listen(silent.get(), 1), 0);
  ASSERT_EQ(getsockname(silent.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  const auto tunnel =
      Tunnel::Start("the server", {"127.0.0.1", absl::StrCat(ntohs(address.sin_port))},
                    MakeClientContext(LoadCredentials(agent_).value()).value())
          .value();
  // Once the handshake has begun.
  const UniqueFd connection(accept(silent.get(), nullptr, nullptr));
  char byte = 0;
  ASSERT_EQ(recv(connection.get(), &byte, 1, 0), 1);
  support::MoveWallClock(-absl::Hours(1));
  EXPECT_TRUE(support::Eventually([&] { return !tunnel->failure().ok(); }));
  EXPECT_THAT(std::string(tunnel->failure().message()), HasSubstr("does not answer"));
  support::MoveWallClock(absl::ZeroDuration());
}

TEST(HostPortTest, ReadsNamesAndAddresses) {
  EXPECT_EQ(ParseHostPort("a.example.net:7425")->host, "a.example.net");
  EXPECT_EQ(ParseHostPort("192.0.2.1:7425")->port, "7425");
  EXPECT_EQ(ParseHostPort("[2001:db8::1]:1")->host, "2001:db8::1");
  for (const char* bad : {"", "host", "host:", ":7425", "host:0", "host:65536", "2001:db8::1:7425",
                          "a b:1", "[]:1", "unix:/run/x"}) {
    EXPECT_FALSE(ParseHostPort(bad).ok()) << bad;
  }
}

}  // namespace
}  // namespace postern::tls
