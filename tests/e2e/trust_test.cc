// SPDX-License-Identifier: Apache-2.0
// Who gets in over TCP, who does not, and what the others feel of it.
#include <grpcpp/generic/generic_stub.h>
#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "postern/v1/enrolment.grpc.pb.h"
#include "tests/e2e/trust_fixture.h"

namespace postern {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class Trust : public TrustFixture {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(MakeCa());
    ASSERT_NO_FATAL_FAILURE(StartCollector());
  }

  std::string Token(const std::string& host, const std::string& expires = "1h") const {
    const support::Finished made = Pki({"token", host, "--expires", expires, "--json"});
    EXPECT_EQ(made.exit_code, 0) << made.error;
    return nlohmann::json::parse(made.output)["token"];
  }
  support::Finished Enrol(const std::string& host, const std::string& token,
                          const std::string& pin) const {
    const std::string config = absl::StrCat(folder_.path(), "/", host, ".yaml");
    std::ofstream(config) << "host: " << host << "\nstate_dir: " << StateDir(host) << "\n";
    return Run("posternd",
               {"--config", config, "--enroll", address(), "--token", token, "--ca-pin", pin});
  }
  std::string StateDir(const std::string& host) const {
    return absl::StrCat(folder_.path(), "/state-", host);
  }
  tls::Files Enrolled(const std::string& host) const {
    const std::string folder = StateDir(host) + "/tls/";
    return {.ca = folder + "ca.pem",
            .cert = folder + "agent.pem",
            .key = folder + "agent.pem",
            .crl = ""};
  }
  // Of the collector, in KiB.
  int64_t Memory() const {
    std::ifstream status(absl::StrCat("/proc/", collector_->pid(), "/status"));
    std::string word;
    int64_t kib = 0;
    while (status >> word) {
      if (word == "VmRSS:") status >> kib;
    }
    return kib;
  }
};

// A key that says it is `shown`, and signs with `other`.
tls::KeyPtr Forge(EVP_PKEY& shown, EVP_PKEY& other) {
  unsigned char* point = nullptr;
  const size_t size = EVP_PKEY_get1_encoded_public_key(&shown, &point);
  BIGNUM* secret = nullptr;
  EXPECT_EQ(EVP_PKEY_get_bn_param(&other, OSSL_PKEY_PARAM_PRIV_KEY, &secret), 1);
  OSSL_PARAM_BLD* builder = OSSL_PARAM_BLD_new();
  OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0);
  OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point, size);
  OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_PRIV_KEY, secret);
  OSSL_PARAM* parameters = OSSL_PARAM_BLD_to_param(builder);
  EVP_PKEY_CTX* context = EVP_PKEY_CTX_new_from_name(nullptr, "EC", nullptr);
  EVP_PKEY* forged = nullptr;
  EXPECT_EQ(EVP_PKEY_fromdata_init(context), 1);
  EXPECT_EQ(EVP_PKEY_fromdata(context, &forged, EVP_PKEY_KEYPAIR, parameters), 1);
  EVP_PKEY_CTX_free(context);
  OSSL_PARAM_free(parameters);
  OSSL_PARAM_BLD_free(builder);
  BN_free(secret);
  OPENSSL_free(point);
  return tls::KeyPtr(forged);
}

TEST_F(Trust, AgentWritesAsItsOwnHostAlone) {
  const tls::Files web1 = Agent("web1");
  EXPECT_TRUE(CanWrite(web1, "web1"));
  server::AgentStream& stream = Stream(web1);
  EXPECT_FALSE(stream.Greet("web2", 77));
  const grpc::Status status = stream.Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_THAT(status.error_message(), HasSubstr("agent web1 may not write as host web2"));
  EXPECT_TRUE(Says("agent web1 at 127.0.0.1 sent what it may not"));
  EXPECT_THAT(KnownHosts(), ElementsAre("web1"));
}

TEST_F(Trust, AgentMayNotRead) {
  ASSERT_TRUE(CanWrite(Agent("web1"), "web1"));
  for (const char* command : {"hosts", "query"}) {
    const support::Finished asked = Ask(Agent("web1"), {command});
    EXPECT_EQ(asked.exit_code, 1) << asked.output;
    EXPECT_THAT(asked.output, IsEmpty());
    EXPECT_THAT(asked.error, HasSubstr("answers no such request from the bearer"));
  }
}

TEST_F(Trust, OperatorReadsAndDoesNotWrite) {
  ASSERT_TRUE(CanWrite(Agent("web1"), "web1"));
  const tls::Files alice = Operator("alice");
  const support::Finished hosts = Ask(alice, {"hosts"});
  EXPECT_EQ(hosts.exit_code, 0) << hosts.error;
  EXPECT_THAT(hosts.output, HasSubstr("\"host\":\"web1\""));
  EXPECT_THAT(Ask(alice, {"query"}).output, HasSubstr("\"comm\":\"smtp\""));
  server::AgentStream& stream = Stream(alice);
  EXPECT_FALSE(stream.Greet("web9", 9));
  EXPECT_EQ(stream.Finish().error_code(), grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_THAT(KnownHosts(), ElementsAre("web1"));
}

TEST_F(Trust, OperatorThatIsBoundToHostsReadsOfNoOther) {
  for (const char* host : {"shop1", "shop2", "web1"}) ASSERT_TRUE(CanWrite(Agent(host), host));
  const tls::Files shop = Operator("shop", {"shop*"});
  EXPECT_THAT(Ask(shop, {"hosts"}).output,
              AllOf(HasSubstr("shop1"), HasSubstr("shop2"), Not(HasSubstr("web1"))));
  EXPECT_THAT(Ask(shop, {"query"}).output,
              AllOf(HasSubstr("shop1"), HasSubstr("shop2"), Not(HasSubstr("web1"))));
  EXPECT_THAT(Ask(shop, {"query", "--group-by", "host"}).output, Not(HasSubstr("web1")));
  const support::Finished refused = Ask(shop, {"query", "--host", "web1"});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.output, IsEmpty());
  EXPECT_THAT(refused.error, HasSubstr("operator shop may not read of host web1"));
  // Of hosts that are not there, nothing is not everything.
  const support::Finished none = Ask(Operator("other", {"db*"}), {"query"});
  EXPECT_EQ(none.exit_code, 1);
  EXPECT_THAT(none.output, IsEmpty());
}

TEST_F(Trust, CertificateOfAnotherCaGetsNowhere) {
  const support::TestAuthority theirs(folder_.path(), "theirs");
  tls::Files stranger = theirs.Agent("web1");
  stranger.ca = pki_ + "/ca.pem";
  EXPECT_THAT(Refusal(stranger), HasSubstr("does not believe the CA"));
  EXPECT_TRUE(Says("its certificate (it says 'web1') is not believed"));
  tls::Files reader = theirs.Operator("alice");
  reader.ca = pki_ + "/ca.pem";
  EXPECT_EQ(Ask(reader, {"hosts"}).exit_code, 1);
  EXPECT_THAT(KnownHosts(), IsEmpty());
}

TEST_F(Trust, CollectorOfAnotherCaIsToldNothing) {
  const support::TestAuthority theirs(folder_.path(), "theirs");
  tls::Files agent = Agent("web1");
  agent.ca = theirs.ca_file();
  EXPECT_THAT(Refusal(agent), HasSubstr("not believed"));
}

TEST_F(Trust, CollectorsOwnCertificateIsNoClients) {
  EXPECT_THAT(Refusal(pki::CollectorFiles(pki_)),
              HasSubstr("does not take this certificate for a client's"));
}

TEST_F(Trust, ExpiredCertificateGetsNowhere) {
  EXPECT_THAT(Refusal(Agent("web1", -absl::Hours(2), absl::Hours(1))), HasSubstr("has expired"));
  EXPECT_TRUE(Says("certificate has expired"));
  EXPECT_THAT(KnownHosts(), IsEmpty());
}

TEST_F(Trust, ConnectionEndsWithItsCertificate) {
  server::AgentStream& stream = Stream(Agent("web1", absl::ZeroDuration(), absl::Seconds(3)));
  ASSERT_TRUE(stream.Greet("web1", 7));
  EXPECT_TRUE(Says("agent web1 at 127.0.0.1 is cut off: its certificate has expired"));
  EXPECT_FALSE(stream.SendBatch(7, 1, {"a"}));
}

TEST_F(Trust, WithoutACertificateOneCanOnlyEnrol) {
  const uplink::Line line = uplink::DialPinned(address(), pin_).value();
  ASSERT_EQ(line.tunnel->WaitUntilAnswered(), absl::OkStatus());
  server::AgentStream stream(line.channel);
  EXPECT_FALSE(stream.Greet("web1", 7));
  EXPECT_EQ(stream.Finish().error_code(), grpc::StatusCode::UNIMPLEMENTED);
  grpc::ClientContext asks;
  v1::HostsResponse hosts;
  EXPECT_EQ(v1::Query::NewStub(line.channel)->Hosts(&asks, {}, &hosts).error_code(),
            grpc::StatusCode::UNIMPLEMENTED);
  // And not by the other door either.
  grpc::ClientContext renews;
  v1::RenewResponse renewed;
  EXPECT_EQ(v1::Enrolment::NewStub(line.channel)->Renew(&renews, {}, &renewed).error_code(),
            grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_THAT(KnownHosts(), IsEmpty());
}

TEST_F(Trust, WhoTriesTokenAfterTokenIsCutOffAndFillsNoLog) {
  const uplink::Line line = uplink::DialPinned(address(), pin_).value();
  ASSERT_EQ(line.tunnel->WaitUntilAnswered(), absl::OkStatus());
  const tls::KeyPtr key = tls::MakeKey().value();
  v1::JoinRequest join;
  join.set_certificate_request(tls::ToPem(*tls::MakeRequest(*key).value()));
  int answered = 0;
  grpc::Status status;
  do {
    grpc::ClientContext context;
    v1::JoinResponse joined;
    join.set_token(absl::StrCat("guess", answered));
    status = v1::Enrolment::NewStub(line.channel)->Join(&context, join, &joined);
    if (status.error_code() == grpc::StatusCode::PERMISSION_DENIED) ++answered;
  } while (status.error_code() == grpc::StatusCode::PERMISSION_DENIED && answered < 100);
  EXPECT_LT(answered, 20);
  EXPECT_TRUE(Says("is cut off: it opens stream after stream"));
  const std::vector<std::string> said =
      absl::StrSplit(collector_->Error(), "could not join: this token is not known");
  EXPECT_EQ(said.size(), 2u) << collector_->Error();
}

TEST_F(Trust, RevokedHostIsCutOffAndStaysOutUntilItEnrolsAgain) {
  const tls::Files web1 = Agent("web1");
  server::AgentStream& stream = Stream(web1);
  server::AgentStream& other = Stream(Agent("web2"));
  ASSERT_TRUE(stream.Greet("web1", 7));
  ASSERT_TRUE(other.Greet("web2", 8));
  ASSERT_EQ(Pki({"revoke", "web1"}).exit_code, 0);
  EXPECT_TRUE(Says("agent web1 at 127.0.0.1 is cut off: its certificate was revoked"));
  EXPECT_FALSE(stream.SendBatch(7, 1, {"a"}));
  EXPECT_THAT(Refusal(web1), HasSubstr("has revoked this certificate"));
  EXPECT_EQ(other.SendBatch(8, 1, {"a"}), 1u);
  ASSERT_EQ(Enrol("web1", Token("web1"), pin_).exit_code, 0);
  EXPECT_TRUE(support::Eventually([&] { return CanWrite(Enrolled("web1"), "web1"); }));
  EXPECT_FALSE(CanWrite(web1, "web1"));
}

TEST_F(Trust, RevokedOperatorReadsNoMore) {
  const tls::Files alice = Operator("alice");
  ASSERT_EQ(Ask(alice, {"hosts"}).exit_code, 0);
  ASSERT_EQ(Pki({"revoke", "--operator", "alice"}).exit_code, 0);
  EXPECT_TRUE(support::Eventually([&] { return Ask(alice, {"hosts"}).exit_code == 1; }));
  EXPECT_THAT(Ask(alice, {"hosts"}).error, HasSubstr("has revoked this certificate"));
}

TEST_F(Trust, AgentEnrolsByATokenOnce) {
  const std::string token = Token("web1");
  const support::Finished enrolled = Enrol("web1", token, pin_);
  EXPECT_EQ(enrolled.exit_code, 0) << enrolled.error;
  EXPECT_THAT(enrolled.output, HasSubstr("enrolled as host web1"));
  EXPECT_TRUE(CanWrite(Enrolled("web1"), "web1"));
  struct stat status = {};
  ASSERT_EQ(stat(Enrolled("web1").key.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);

  const support::Finished again = Enrol("web2", token, pin_);
  EXPECT_EQ(again.exit_code, 1);
  EXPECT_THAT(again.error, HasSubstr("not known, was used or has expired"));
  EXPECT_FALSE(std::filesystem::exists(Enrolled("web2").cert));
}

TEST_F(Trust, TokenOfAnotherHostIsRefusedBeforeItIsSpent) {
  const std::string token = Token("web1");
  const support::Finished other = Enrol("web2", token, pin_);
  EXPECT_EQ(other.exit_code, 1);
  EXPECT_THAT(other.error,
              AllOf(HasSubstr("this token is for host web1"),
                    HasSubstr("the agent calls itself web2"), HasSubstr("postern pki token web2")));
  EXPECT_FALSE(std::filesystem::exists(Enrolled("web2").cert));
  const support::Finished right = Enrol("web1", token, pin_);
  EXPECT_EQ(right.exit_code, 0) << right.error;
  EXPECT_TRUE(CanWrite(Enrolled("web1"), "web1"));
}

TEST_F(Trust, AgentThatForgesWhatTheCollectorRecordsIsCutOffAndNamed) {
  server::AgentStream& stream = Stream(Agent("web1"));
  ASSERT_TRUE(stream.Greet("web1", 7));
  v1::IngestRequest request = stream.RequestOf(7, 1, {"a"});
  request.mutable_batch()->mutable_events(0)->set_kind(v1::Event::AGENT_SILENT);
  EXPECT_FALSE(stream.Deliver(request));
  EXPECT_TRUE(Says("agent web1 at 127.0.0.1 sent what it may not: batch: that an agent is silent"));
}

TEST_F(Trust, CheckOfTheConfigurationLooksForTheCa) {
  const std::string file = folder_ / "check.yaml";
  const auto check = [&](const std::string& folder) {
    std::ofstream(file) << "listen: \"127.0.0.1:7425\"\npki: {dir: " << folder << "}\n";
    return Run("postern-collector", {"--check-config", file});
  };
  EXPECT_EQ(check(pki_).exit_code, 0);
  const support::Finished refused = check("/nonexistent");
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.output, IsEmpty());
  EXPECT_EQ(refused.error, file +
                               ":2: /nonexistent: no CA here; make one: postern pki init --dir "
                               "/nonexistent\n");
}

TEST_F(Trust, TokenThatExpiredIsWorthNothing) {
  const std::string token = Token("web1", "1s");
  const absl::Time made = absl::Now();
  ASSERT_TRUE(support::Eventually([&] { return absl::Now() > made + absl::Seconds(2); }));
  const support::Finished late = Enrol("web1", token, pin_);
  EXPECT_EQ(late.exit_code, 1);
  EXPECT_THAT(late.error, HasSubstr("has expired"));
  EXPECT_FALSE(std::filesystem::exists(Enrolled("web1").cert));
}

TEST_F(Trust, TokenIsShownToNobodyWithoutThePinnedCa) {
  const std::string token = Token("web1");
  const support::Finished wrong = Enrol("web1", token, std::string(64, 'a'));
  EXPECT_EQ(wrong.exit_code, 1);
  EXPECT_THAT(wrong.error, HasSubstr("no certificate of the CA with this fingerprint"));
  EXPECT_EQ(Enrol("web1", token, "abc").exit_code, 2);
  // Nor is the token spent for a file that was mistyped, or for a folder that keeps nothing.
  const support::Finished mistyped =
      Run("posternd", {"--config", folder_.path() + "/agnet.yaml", "--enroll", address(), "--token",
                       token, "--ca-pin", pin_});
  EXPECT_EQ(mistyped.exit_code, 2);
  EXPECT_THAT(mistyped.error, HasSubstr("agnet.yaml"));
  std::filesystem::create_directories(StateDir("web1") + "/tls/try.new");
  std::filesystem::permissions(StateDir("web1"), std::filesystem::perms(0700));
  EXPECT_EQ(Enrol("web1", token, pin_).exit_code, 1);
  std::filesystem::remove_all(StateDir("web1"));
  // It was not used up.
  EXPECT_EQ(Enrol("web1", token, pin_).exit_code, 0);
}

TEST_F(Trust, MessageOfAHundredMegabytesIsCutOffAndTakesNoMemory) {
  server::AgentStream& other = Stream(Agent("web2"));
  ASSERT_TRUE(other.Greet("web2", 8));
  server::AgentStream& stream = Stream(Agent("web1"));
  ASSERT_TRUE(stream.Greet("web1", 7));
  const int64_t before = Memory();
  ASSERT_GT(before, 0);
  {
    v1::IngestRequest request;
    v1::Event& event = *request.mutable_batch()->add_events();
    event.set_comm(std::string(100 << 20, 'x'));
    stream.Send(request);
    EXPECT_FALSE(stream.Finish().ok());
  }
  EXPECT_TRUE(Says("agent web1 at 127.0.0.1 is cut off: it sends a message of 1048"));
  EXPECT_LT(Memory() - before, 16 << 10);
  EXPECT_EQ(other.SendBatch(8, 1, {"a"}), 1u);
  EXPECT_TRUE(CanWrite(Agent("web1"), "web1"));
}

TEST_F(Trust, GarbageInPlaceOfHttp2IsCutOffAndNamed) {
  server::AgentStream& other = Stream(Agent("web2"));
  ASSERT_TRUE(other.Greet("web2", 8));
  const auto tunnel =
      tls::Tunnel::Start(
          "the collector", {"127.0.0.1", port_},
          tls::MakeClientContext(tls::LoadCredentials(Agent("web1")).value()).value())
          .value();
  ASSERT_EQ(tunnel->WaitUntilAnswered(), absl::OkStatus());
  const UniqueFd end = tunnel->TakeEnd();
  ASSERT_EQ(send(end.get(), "GET / HTTP/1.1\r\n\r\n", 18, MSG_NOSIGNAL), 18);
  EXPECT_TRUE(Says("agent web1 at 127.0.0.1 is cut off: what it sent is no HTTP/2"));
  EXPECT_EQ(other.SendBatch(8, 1, {"a"}), 1u);
}

TEST_F(Trust, GarbageInPlaceOfTlsIsRefusedAndNamed) {
  const UniqueFd fd = Connect("127.0.0.9");
  const std::string garbage(1000, '\xff');
  ASSERT_EQ(send(fd.get(), garbage.data(), garbage.size(), MSG_NOSIGNAL), 1000);
  EXPECT_TRUE(Says("somebody at 127.0.0.9 is refused: no TLS 1.3 with it"));
  EXPECT_TRUE(CanWrite(Agent("web1"), "web1"));
}

TEST_F(Trust, Tls12IsRefused) {
  const tls::Files web1 = Agent("web1");
  const tls::ContextPtr context =
      tls::MakeClientContext(tls::LoadCredentials(web1).value()).value();
  ASSERT_EQ(SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION), 1);
  ASSERT_EQ(SSL_CTX_set_max_proto_version(context.get(), TLS1_2_VERSION), 1);
  const UniqueFd fd = Connect();
  const tls::SslPtr ssl(SSL_new(context.get()));
  ASSERT_EQ(SSL_set_fd(ssl.get(), fd.get()), 1);
  EXPECT_NE(SSL_connect(ssl.get()), 1);
  EXPECT_TRUE(Says("unsupported protocol"));
}

TEST_F(Trust, HalfOpenConnectionsKeepNobodyOut) {
  std::vector<UniqueFd> open;
  open.reserve(64);
  for (int i = 0; i < 64; ++i) open.push_back(Connect());
  // Neither others nor an agent of the same address, for which the oldest gives way.
  EXPECT_TRUE(CanWrite(Agent("web1"), "web1"));
  EXPECT_TRUE(Says("somebody at 127.0.0.1 is cut off: 64 connections of its address have shown"));
  pollfd wait = {open.front().get(), POLLIN, 0};
  EXPECT_EQ(poll(&wait, 1, 10'000), 1);
  // The others are not kept for ever.
  wait.fd = open.back().get();
  EXPECT_EQ(poll(&wait, 1, 20'000), 1);
  EXPECT_TRUE(Says("somebody at 127.0.0.1 is cut off: showed no certificate for 10s"));
}

TEST_F(Trust, FifthConnectionOfAnAgentIsRefused) {
  const tls::Files web1 = Agent("web1");
  for (uint64_t i = 1; i <= 4; ++i) ASSERT_TRUE(Stream(web1).Greet("web1", 100 + i));
  EXPECT_THAT(Refusal(web1), HasSubstr("lets the bearer of this certificate do nothing"));
  EXPECT_TRUE(Says("agent web1 holds 4 connections"));
  EXPECT_TRUE(CanWrite(Agent("web2"), "web2"));
}

TEST_F(Trust, AnothersCertificateWithoutItsKeyHarmsNobody) {
  const tls::Files web1 = Agent("web1");
  tls::Credentials stolen = tls::LoadCredentials(web1).value();
  const tls::KeyPtr other = tls::MakeKey().value();
  stolen.key = Forge(*stolen.key, *other);
  const tls::ContextPtr context = tls::MakeClientContext(stolen).value();
  // More often than anybody may come.
  for (int i = 0; i < 100; ++i) {
    const UniqueFd fd = Connect("127.0.0.9");
    const tls::SslPtr ssl(SSL_new(context.get()));
    ASSERT_EQ(SSL_set_fd(ssl.get(), fd.get()), 1);
    char byte = 0;
    ASSERT_EQ(SSL_connect(ssl.get()), 1);
    EXPECT_LE(SSL_read(ssl.get(), &byte, 1), 0);
  }
  EXPECT_TRUE(Says("somebody at 127.0.0.9 is refused: no TLS 1.3 with it: bad signature"));
  EXPECT_TRUE(CanWrite(web1, "web1"));
}

TEST_F(Trust, AgentThatOpensStreamAfterStreamIsCutOffAndNamed) {
  server::AgentStream& other = Stream(Agent("web2"));
  ASSERT_TRUE(other.Greet("web2", 1000));
  const uplink::Line line = Dial(Agent("web1"));
  ASSERT_EQ(line.tunnel->WaitUntilAnswered(), absl::OkStatus());
  bool ended = false;
  for (uint64_t i = 1; i < 1000 && !ended; ++i) {
    server::AgentStream stream(line.channel);
    ended = !stream.Greet("web1", i);
  }
  EXPECT_TRUE(ended);
  EXPECT_TRUE(Says("agent web1 at 127.0.0.1 is cut off for a minute"));
  EXPECT_TRUE(support::Eventually([&] { return !Refusal(Agent("web1")).empty(); }));
  EXPECT_EQ(other.SendBatch(1000, 1, {"a"}), 1u);
}

TEST_F(Trust, CollectorsOwnCertificateIsTakenUpWithoutARestart) {
  server::AgentStream& stream = Stream(Agent("web1"));
  ASSERT_TRUE(stream.Greet("web1", 7));
  // As the authority does when half of its time is over.
  pki::Authority authority = pki::Authority::Open(pki_).value();
  ASSERT_TRUE(authority.RenewCollector(absl::Now() + absl::Hours(24 * 60)).value());
  EXPECT_TRUE(Says("new certificate files hold from now on"));
  EXPECT_EQ(stream.SendBatch(7, 1, {"a"}), 1u);
}

class TrustWithLimits : public TrustFixture {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(MakeCa());
    ASSERT_NO_FATAL_FAILURE(StartCollector(absl::StrCat(
        "pki: {dir: ", pki_, "}\nlimits: {bytes_per_second: 1MiB, connections: 3}\n")));
  }
};

TEST_F(TrustWithLimits, AgentThatFloodsIsHeldBackAndNamedAndOthersAreNot) {
  server::AgentStream& flood = Stream(Agent("web1"));
  ASSERT_TRUE(flood.Greet("web1", 7));
  server::AgentStream& other = Stream(Agent("web2"));
  ASSERT_TRUE(other.Greet("web2", 8));
  // Four seconds' worth, none of which is lost.
  const std::vector<std::string> large(4, std::string(1 << 20, 'x'));
  ASSERT_TRUE(flood.SendBatchOnly(7, 1, large));
  EXPECT_TRUE(Says("agent web1 at 127.0.0.1 is held back"));
  EXPECT_EQ(other.SendBatch(8, 1, {"a"}), 1u);
  EXPECT_EQ(flood.SendBatch(7, 5, {"b"}), 4u);
}

TEST_F(TrustWithLimits, ConnectionsPastTheLimitAreRefusedAndThoseThereStay) {
  server::AgentStream& stream = Stream(Agent("web1"));
  ASSERT_TRUE(stream.Greet("web1", 7));
  // Who has shown no certificate gives way.
  std::vector<UniqueFd> open;
  open.reserve(3);
  for (int i = 0; i < 3; ++i) open.push_back(Connect("127.0.0.9"));
  EXPECT_TRUE(Says("somebody at 127.0.0.9 is cut off: too many have shown no certificate"));
  ASSERT_TRUE(Stream(Agent("web2")).Greet("web2", 8));
  ASSERT_TRUE(Stream(Agent("web3")).Greet("web3", 9));
  open.push_back(Connect("127.0.0.9"));
  EXPECT_TRUE(Says("somebody at 127.0.0.9 is refused: there are 3 connections"));
  EXPECT_EQ(stream.SendBatch(7, 1, {"a"}), 1u);
}

}  // namespace
}  // namespace postern
