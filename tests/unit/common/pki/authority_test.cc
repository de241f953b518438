// SPDX-License-Identifier: Apache-2.0
#include "common/pki/authority.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "tests/support/temporary_folder.h"

namespace postern::pki {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

namespace fs = std::filesystem;

class AuthorityTest : public testing::Test {
 protected:
  static std::string Request() {
    const tls::KeyPtr key = tls::MakeKey().value();
    return tls::ToPem(*tls::MakeRequest(*key).value());
  }
  static tls::CertificatePtr Parsed(const std::string& pem) {
    return std::move(tls::ReadCertificates(pem).value().front());
  }

  TemporaryFolder folder_;
  const absl::Time now_ = absl::FromUnixSeconds(1'800'000'000);
  const std::string path_ = folder_ / "pki";
  Authority authority_ = Authority::Init(path_, {"localhost", "127.0.0.1"}, now_).value();
};

TEST_F(AuthorityTest, FilesAreTheirOwnersAlone) {
  for (const auto& entry : fs::recursive_directory_iterator(path_)) {
    EXPECT_EQ(static_cast<unsigned>(entry.status().permissions()) & 077, 0u) << entry.path();
  }
  EXPECT_EQ(static_cast<unsigned>(fs::status(path_).permissions()) & 077, 0u);
}

TEST_F(AuthorityTest, FolderOrFileThatOthersMayWriteIsRefused) {
  for (const char* file : {"", "/ca.key", "/ca.pem"}) {
    const std::string path = path_ + file;
    const fs::perms before = fs::status(path).permissions();
    fs::permissions(path, before | fs::perms::others_write);
    EXPECT_THAT(std::string(Authority::Open(path_).status().message()),
                HasSubstr("others can write it"))
        << path;
    fs::permissions(path, before);
    if (geteuid() == 0) {
      ASSERT_EQ(chown(path.c_str(), 33, static_cast<gid_t>(-1)), 0);
      EXPECT_THAT(std::string(Authority::Open(path_).status().message()), HasSubstr("chown root"));
      ASSERT_EQ(chown(path.c_str(), 0, static_cast<gid_t>(-1)), 0);
    }
  }
  EXPECT_TRUE(Authority::Open(path_).ok());
}

TEST_F(AuthorityTest, CollectorsFilesCanBeUsed) {
  EXPECT_TRUE(tls::LoadCredentials(CollectorFiles(path_)).ok());
}

TEST_F(AuthorityTest, SecondOneInItsPlaceIsRefused) {
  EXPECT_TRUE(absl::IsAlreadyExists(Authority::Init(path_, {"x"}, now_).status()));
  EXPECT_EQ(Authority::Open(path_)->Fingerprint(), authority_.Fingerprint());
}

TEST_F(AuthorityTest, OpenWithoutOneSaysHowToMakeIt) {
  EXPECT_THAT(std::string(Authority::Open(folder_ / "none").status().message()),
              HasSubstr("postern pki init"));
}

TEST_F(AuthorityTest, TokenIsWorthItsHostOnce) {
  const std::string token = authority_.MakeToken("web1", now_, absl::Hours(1)).value();
  EXPECT_EQ(token.size(), 48u);
  EXPECT_EQ(token.find_first_not_of("0123456789abcdef"), std::string::npos);
  EXPECT_EQ(authority_.Redeem(token, "web1", now_ + absl::Minutes(59)).value(), "web1");
  EXPECT_TRUE(absl::IsPermissionDenied(authority_.Redeem(token, "web1", now_).status()));
}

TEST_F(AuthorityTest, TokenThatExpiredIsWorthNothing) {
  const std::string token = authority_.MakeToken("web1", now_, absl::Hours(1)).value();
  EXPECT_TRUE(absl::IsPermissionDenied(
      authority_.Redeem(token, "web1", now_ + absl::Minutes(61)).status()));
  // Nor later, should the clock be set back.
  EXPECT_TRUE(absl::IsPermissionDenied(authority_.Redeem(token, "web1", now_).status()));
}

TEST_F(AuthorityTest, InventedTokensAreWorthNothing) {
  for (const char* token : {"", "x", "../ca.key", "../../pki/ca.pem"}) {
    EXPECT_TRUE(absl::IsPermissionDenied(authority_.Redeem(token, "web1", now_).status())) << token;
  }
}

TEST_F(AuthorityTest, TokenOfAnotherHostIsRefusedAndNotUsedUp) {
  const std::string token = authority_.MakeToken("web1", now_, absl::Hours(1)).value();
  const absl::Status refused = authority_.Redeem(token, "web2", now_).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
  EXPECT_THAT(std::string(refused.message()),
              AllOf(HasSubstr("this token is for host web1"), HasSubstr("write `host: web1`"),
                    HasSubstr("postern pki token web2")));
  EXPECT_EQ(authority_.Redeem(token, "web1", now_).value(), "web1");
}

TEST_F(AuthorityTest, AgentThatDoesNotSayWhichHostItIsGetsTheTokens) {
  const std::string token = authority_.MakeToken("web1", now_, absl::Hours(1)).value();
  EXPECT_EQ(authority_.Redeem(token, "", now_).value(), "web1");
}

TEST_F(AuthorityTest, TokenOfAnotherHostThatExpiredSaysNothingOfItsHost) {
  const std::string token = authority_.MakeToken("web1", now_, absl::Hours(1)).value();
  EXPECT_TRUE(
      absl::IsPermissionDenied(authority_.Redeem(token, "web2", now_ + absl::Hours(2)).status()));
}

TEST_F(AuthorityTest, WhoWasGivenACertificateIsOnRecord) {
  EXPECT_THAT(authority_.KnownNames(Role::kAgent), IsEmpty());
  for (const char* host : {"web2", "web1", "web1"}) {
    ASSERT_TRUE(authority_.IssueAgent(host, Request(), now_, absl::Hours(24)).ok());
  }
  ASSERT_TRUE(authority_.IssueOperator("alice", {}, now_, absl::Hours(1)).ok());
  authority_.MakeToken("web3", now_, absl::Hours(1)).value();
  EXPECT_THAT(authority_.KnownNames(Role::kAgent), ElementsAre("web1", "web2", "web3"));
  EXPECT_THAT(authority_.KnownNames(Role::kOperator), ElementsAre("alice"));
  // One a name, however often it was renewed.
  EXPECT_EQ(std::distance(fs::directory_iterator(path_ + "/issued"), fs::directory_iterator()), 3);
}

TEST_F(AuthorityTest, CertificateIsIssuedThoughItCannotBeRecorded) {
  std::ofstream(path_ + "/issued") << "no folder";
  EXPECT_TRUE(authority_.IssueAgent("web1", Request(), now_, absl::Hours(1)).ok());
  EXPECT_THAT(authority_.KnownNames(Role::kAgent), IsEmpty());
}

TEST(ServerNameTest, NamesAndAddressesThatCanBeReachedAreTaken) {
  for (const char* name : {"localhost", "collector.example.net", "a_b.example", "192.0.2.10",
                           "2001:db8::10", "::1", "1a.example", "10.example"}) {
    EXPECT_TRUE(CheckServerName(name).ok()) << name;
  }
  const std::string label(63, 'a');
  EXPECT_TRUE(CheckServerName(label).ok());
  for (const std::string& name :
       std::vector<std::string>{"",
                                ".",
                                "a b",
                                "a\n",
                                "a\x01",
                                "a..b",
                                "a.",
                                ".a",
                                "-a",
                                "a-",
                                "*.example.net",
                                "a:7425",
                                "300.0.2.10",
                                "192.0.2.10:7425",
                                "[::1]",
                                "fe80::1%eth0",
                                "http://a",
                                "a/b",
                                "\xc3\xa4",
                                label + "a",
                                absl::StrJoin({label, label, label, label}, ".")}) {
    EXPECT_TRUE(absl::IsInvalidArgument(CheckServerName(name))) << name;
  }
}

TEST_F(AuthorityTest, TokenOnDiskDoesNotShowTheToken) {
  const std::string token = authority_.MakeToken("web1", now_, absl::Hours(1)).value();
  for (const auto& entry : fs::directory_iterator(path_ + "/tokens")) {
    std::ifstream file(entry.path());
    const std::string text(std::istreambuf_iterator<char>(file), {});
    EXPECT_EQ(text.find(token), std::string::npos);
    EXPECT_NE(entry.path().filename().string(), token);
  }
}

TEST_F(AuthorityTest, ExpiredTokensAreClearedAwayByTheNext) {
  authority_.MakeToken("web1", now_, absl::Hours(1)).value();
  authority_.MakeToken("web2", now_ + absl::Hours(2), absl::Hours(1)).value();
  EXPECT_EQ(std::distance(fs::directory_iterator(path_ + "/tokens"), fs::directory_iterator()), 1);
}

TEST_F(AuthorityTest, AgentGetsWhatTheTokenSaidAndNothingOfItsOwnWishes) {
  const std::string pem = authority_.IssueAgent("web1", Request(), now_, absl::Hours(24)).value();
  const tls::CertificatePtr certificate = Parsed(pem);
  EXPECT_THAT(tls::NamesOf(*certificate).uris, ElementsAre("postern:agent:web1"));
  EXPECT_EQ(tls::NotAfter(*certificate), now_ + absl::Hours(24));
  EXPECT_EQ(X509_check_ca(certificate.get()), 0);
  EXPECT_EQ(X509_check_purpose(certificate.get(), X509_PURPOSE_SSL_CLIENT, 0), 1);
  EXPECT_EQ(X509_check_purpose(certificate.get(), X509_PURPOSE_SSL_SERVER, 0), 0);
  EXPECT_FALSE(authority_.IssueAgent("web1", "no request", now_, absl::Hours(1)).ok());
}

TEST_F(AuthorityTest, HostsThatWouldMeanMoreThanOneAreRefused) {
  for (const char* host : {"", "*", "web*", "web 1", "web\n1"}) {
    EXPECT_FALSE(authority_.MakeToken(host, now_, absl::Hours(1)).ok()) << host;
    EXPECT_FALSE(authority_.IssueAgent(host, Request(), now_, absl::Hours(1)).ok()) << host;
  }
}

TEST_F(AuthorityTest, RevokingEndsCertificatesAndTokensOfThatHostAlone) {
  const std::string mine = authority_.MakeToken("web1", now_, absl::Hours(1)).value();
  const std::string others = authority_.MakeToken("web2", now_, absl::Hours(1)).value();
  ASSERT_TRUE(authority_.Revoke(Role::kAgent, "web1", now_).ok());
  EXPECT_FALSE(authority_.Redeem(mine, "web1", now_).ok());
  EXPECT_TRUE(authority_.Redeem(others, "web2", now_).ok());
  const Revocations revoked = Revocations::Load(RevocationsFile(path_)).value();
  EXPECT_EQ(revoked.RevokedUntil(Role::kAgent, "web1"), now_);
  EXPECT_EQ(revoked.RevokedUntil(Role::kAgent, "web2"), absl::InfinitePast());
  EXPECT_EQ(revoked.RevokedUntil(Role::kOperator, "web1"), absl::InfinitePast());
}

TEST_F(AuthorityTest, CertificateAfterARevocationHoldsAgain) {
  ASSERT_TRUE(authority_.Revoke(Role::kAgent, "web1", now_).ok());
  const tls::CertificatePtr certificate =
      Parsed(authority_.IssueAgent("web1", Request(), now_, absl::Hours(1)).value());
  EXPECT_GT(tls::NotBefore(*certificate),
            Revocations::Load(RevocationsFile(path_))->RevokedUntil(Role::kAgent, "web1"));
}

TEST_F(AuthorityTest, DamagedRevocationsAreNotTakenForNone) {
  ASSERT_TRUE(authority_.Revoke(Role::kAgent, "web1", now_).ok());
  std::ofstream(RevocationsFile(path_), std::ios::app) << "agent web";
  EXPECT_THAT(std::string(Revocations::Load(RevocationsFile(path_)).status().message()),
              HasSubstr(":2: is no 'agent NAME SECOND'"));
  EXPECT_FALSE(authority_.IssueAgent("web1", Request(), now_, absl::Hours(1)).ok());
  // One more behind it would be heeded by nobody: it is not said to be done.
  EXPECT_THAT(std::string(authority_.Revoke(Role::kAgent, "web2", now_).message()),
              HasSubstr(":2: is no 'agent NAME SECOND'"));
}

TEST_F(AuthorityTest, WhatTheDiskHasNoRoomForLeavesNothingBehind) {
  signal(SIGXFSZ, SIG_IGN);
  rlimit before = {};
  getrlimit(RLIMIT_FSIZE, &before);
  // Room for the keys, which have some 240 bytes, and for no certificate.
  const rlimit small = {.rlim_cur = 400, .rlim_max = before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  const std::string path = folder_ / "other";
  const absl::Status refused = Authority::Init(path, {"x"}, now_).status();
  setrlimit(RLIMIT_FSIZE, &before);
  EXPECT_FALSE(refused.ok());
  EXPECT_FALSE(fs::exists(path));
  EXPECT_TRUE(Authority::Init(path, {"x"}, now_).ok());
}

TEST_F(AuthorityTest, KeyThatEverybodyMayReadIsRefused) {
  fs::permissions(path_ + "/ca.key", fs::perms(0644));
  EXPECT_THAT(std::string(Authority::Open(path_).status().message()),
              HasSubstr("/ca.key: a private key that everybody may read"));
}

TEST_F(AuthorityTest, RevocationForWhichTheDiskHasNoRoomLeavesTheOthersReadable) {
  ASSERT_TRUE(authority_.Revoke(Role::kAgent, "web1", now_).ok());
  const auto size = fs::file_size(RevocationsFile(path_));
  // Of the next line five bytes fit; without the signal that would end the process.
  signal(SIGXFSZ, SIG_IGN);
  rlimit before = {};
  getrlimit(RLIMIT_FSIZE, &before);
  const rlimit small = {.rlim_cur = size + 5, .rlim_max = before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  const absl::Status refused = authority_.Revoke(Role::kAgent, "web2", now_);
  setrlimit(RLIMIT_FSIZE, &before);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("cannot write " + path_));
  EXPECT_EQ(fs::file_size(RevocationsFile(path_)), size);
  ASSERT_TRUE(authority_.Revoke(Role::kAgent, "web3", now_).ok());
  const absl::StatusOr<Revocations> revoked = Revocations::Load(RevocationsFile(path_));
  ASSERT_TRUE(revoked.ok()) << revoked.status();
  EXPECT_EQ(revoked->RevokedUntil(Role::kAgent, "web1"), now_);
  EXPECT_EQ(revoked->RevokedUntil(Role::kAgent, "web3"), now_);
}

TEST_F(AuthorityTest, OperatorIsBoundToHosts) {
  const auto made =
      authority_.IssueOperator("alice", {"web1", "db*"}, now_, absl::Hours(1)).value();
  EXPECT_THAT(tls::NamesOf(*Parsed(made.certificate)).uris,
              ElementsAre("postern:operator:alice", "postern:host:web1", "postern:host:db*"));
  EXPECT_TRUE(tls::ReadKey(made.key).ok());
  for (const char* host : {"", "web 1", "web\n"}) {
    EXPECT_FALSE(authority_.IssueOperator("alice", {host}, now_, absl::Hours(1)).ok()) << host;
  }
}

TEST_F(AuthorityTest, CollectorsCertificateIsRenewedForTheSameNames) {
  EXPECT_FALSE(authority_.RenewCollector(now_ + absl::Hours(24 * 44)).value());
  EXPECT_TRUE(authority_.RenewCollector(now_ + absl::Hours(24 * 46)).value());
  const tls::Credentials renewed = tls::LoadCredentials(CollectorFiles(path_)).value();
  EXPECT_THAT(tls::ServersOf(*renewed.chain.front()), ElementsAre("localhost", "127.0.0.1"));
}

}  // namespace
}  // namespace postern::pki
