// SPDX-License-Identifier: Apache-2.0
#include "common/tls/certificate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/pem.h>

#include "absl/time/clock.h"

namespace postern::tls {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(Certificate, RequestGivesTheKeyThatMadeIt) {
  const KeyPtr key = MakeKey().value();
  const RequestPtr request = MakeRequest(*key).value();
  const KeyPtr found = KeyOfRequest(ToPem(*request)).value();
  EXPECT_EQ(EVP_PKEY_eq(found.get(), key.get()), 1);
}

TEST(Certificate, RequestForAKeyThatDidNotSignItIsRefused) {
  const KeyPtr mine = MakeKey().value();
  const KeyPtr anothers = MakeKey().value();
  const RequestPtr request = MakeRequest(*mine).value();
  // As one who wants a certificate for a public key that he only knows.
  ASSERT_EQ(X509_REQ_set_pubkey(request.get(), anothers.get()), 1);
  EXPECT_THAT(std::string(KeyOfRequest(ToPem(*request)).status().message()),
              HasSubstr("not signed by its own key"));
}

TEST(Certificate, RequestForAnotherKindOfKeyIsRefused) {
  for (const char* kind : {"RSA", "P-384"}) {
    const KeyPtr key(std::string(kind) == "RSA" ? EVP_RSA_gen(1024u) : EVP_EC_gen(kind));
    const RequestPtr request = MakeRequest(*key).value();
    EXPECT_THAT(std::string(KeyOfRequest(ToPem(*request)).status().message()), HasSubstr("P-256"))
        << kind;
  }
  EXPECT_FALSE(KeyOfRequest("garbage").ok());
  EXPECT_FALSE(KeyOfRequest("").ok());
}

TEST(Certificate, NamesAreFoundAgain) {
  const KeyPtr key = MakeKey().value();
  Issue issue;
  issue.common_name = "cn.example.net";
  issue.uris = {"postern:agent:web1", "https://example.net/"};
  issue.servers = {"a.example.net", "192.0.2.1", "2001:db8::1"};
  issue.not_before = absl::FromUnixSeconds(1'700'000'000);
  issue.not_after = absl::FromUnixSeconds(1'800'000'000);
  const CertificatePtr certificate = Sign(issue, *key, nullptr, *key).value();
  const Names names = NamesOf(*certificate);
  EXPECT_THAT(names.uris, ElementsAre("postern:agent:web1", "https://example.net/"));
  EXPECT_THAT(names.names, ElementsAre("a.example.net"));
  EXPECT_EQ(names.common_name, "cn.example.net");
  EXPECT_THAT(ServersOf(*certificate), ElementsAre("a.example.net", "192.0.2.1", "2001:db8::1"));
  EXPECT_EQ(NotBefore(*certificate), issue.not_before);
  EXPECT_EQ(NotAfter(*certificate), issue.not_after);
}

TEST(Certificate, NameWithAZeroByteOrASpaceIsNone) {
  const KeyPtr key = MakeKey().value();
  Issue issue;
  issue.common_name = "good";
  issue.uris = {std::string("postern:agent:web1\0.evil", 24), "postern:agent:web 1"};
  issue.not_after = absl::Now();
  const CertificatePtr certificate = Sign(issue, *key, nullptr, *key).value();
  EXPECT_THAT(NamesOf(*certificate).uris, IsEmpty());
  EXPECT_TRUE(NamesOf(*certificate).unreadable_uri);
}

TEST(Certificate, CommonNameStandsInWhereThereIsNoDnsName) {
  const KeyPtr key = MakeKey().value();
  Issue issue;
  issue.common_name = "web1.example.net";
  issue.not_after = absl::Now();
  const CertificatePtr certificate = Sign(issue, *key, nullptr, *key).value();
  EXPECT_THAT(NamesOf(*certificate).names, ElementsAre("web1.example.net"));
}

TEST(Certificate, PemIsReadAsAWholeOrRefused) {
  const KeyPtr key = MakeKey().value();
  Issue issue;
  issue.common_name = "x";
  issue.not_after = absl::Now();
  const std::string pem = ToPem(*Sign(issue, *key, nullptr, *key).value());
  EXPECT_EQ(ReadCertificates(pem + pem).value().size(), 2u);
  EXPECT_FALSE(ReadCertificates("").ok());
  std::string damaged = pem + pem;
  damaged[pem.size() + pem.size() / 2] = '!';
  EXPECT_FALSE(ReadCertificates(damaged).ok());
  EXPECT_FALSE(ReadKey(pem).ok());
  EXPECT_TRUE(ReadKey(ToPem(*key)).ok());
}

TEST(Certificate, FingerprintsAreTakenAsPeopleWriteThem) {
  const std::string plain(64, 'a');
  EXPECT_EQ(NormalFingerprint(plain), plain);
  EXPECT_EQ(NormalFingerprint(std::string(64, 'A')), plain);
  std::string colons;
  for (int i = 0; i < 32; ++i) colons += i == 0 ? "AA" : ":AA";
  EXPECT_EQ(NormalFingerprint(colons), plain);
  EXPECT_EQ(NormalFingerprint(std::string(63, 'a')), "");
  EXPECT_EQ(NormalFingerprint(std::string(64, 'g')), "");
}

}  // namespace
}  // namespace postern::tls
