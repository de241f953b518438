// SPDX-License-Identifier: Apache-2.0
#include "agent/enrich/secrets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace postern::enrich {
namespace {

using testing::ElementsAre;
using testing::ElementsAreArray;

std::vector<std::string> Mask(const std::vector<std::string>& args,
                              const std::string& exe = "/usr/bin/x") {
  v1::Event event;
  event.set_exe(exe);
  for (const std::string& arg : args) event.add_args(arg);
  MaskSecrets(event);
  return {event.args().begin(), event.args().end()};
}

TEST(SecretsTest, NamesAreReadWordByWord) {
  for (const char* name : {"--password", "--auth-password", "DB_PASSWD", "apiKey", "api_key",
                           "--secret", "x-token", "mypassword", "smtp.pass"}) {
    EXPECT_TRUE(NamesSecret(name)) << name;
  }
  for (const char* name : {"--monkey", "--keyboard", "--passive", "--from", "--to", "", "-"}) {
    EXPECT_FALSE(NamesSecret(name)) << name;
  }
}

TEST(SecretsTest, ValuesOfLongOptionsAreMasked) {
  EXPECT_THAT(Mask({"x", "--password=a b", "--token", "t", "--to", "you"}),
              ElementsAre("x", "--password=***", "--token", "***", "--to", "you"));
}

TEST(SecretsTest, AnOptionWithoutValueDoesNotMaskTheNextOption) {
  EXPECT_THAT(Mask({"x", "--ask-password", "--verbose", "file"}),
              ElementsAre("x", "--ask-password", "--verbose", "file"));
}

TEST(SecretsTest, AssignmentsAreMaskedWhereverTheyStand) {
  EXPECT_THAT(Mask({"env", "DB_PASSWORD=x", "a=b"}), ElementsAre("env", "DB_PASSWORD=***", "a=b"));
  EXPECT_THAT(Mask({"curl", "http://h/?a=1&api_key=zz&b=2"}),
              ElementsAre("curl", "http://h/?a=1&api_key=***&b=2"));
  EXPECT_THAT(Mask({"perl", "-e", "$password=\"x y\"; send()"}),
              ElementsAre("perl", "-e", "$password=\"***\"; send()"));
}

TEST(SecretsTest, PasswordsInAddressesAreMasked) {
  EXPECT_THAT(Mask({"x", "smtp://me:pw@host:25/", "http://host/a@b:c"}),
              ElementsAre("x", "smtp://me:***@host:25/", "http://host/a@b:c"));
  EXPECT_THAT(Mask({"x", "s://u:p@ss@host", "s://u:@h"}),
              ElementsAre("x", "s://u:***@host", "s://u:***@h"));
}

TEST(SecretsTest, AuthorizationHeadersAreMasked) {
  EXPECT_THAT(Mask({"curl", "-H", "Authorization: Bearer abc"}),
              ElementsAre("curl", "-H", "Authorization: Bearer ***"));
}

TEST(SecretsTest, ShortOptionsAreMaskedForTheProgramsThatHaveThem) {
  EXPECT_THAT(Mask({"mysql", "-uroot", "-psecret"}, "/usr/bin/mysql"),
              ElementsAre("mysql", "-uroot", "-p***"));
  EXPECT_THAT(Mask({"sshpass", "-p", "secret", "ssh"}, "/usr/bin/sshpass"),
              ElementsAre("sshpass", "-p", "***", "ssh"));
  EXPECT_THAT(Mask({"curl", "-u", "me:pw", "-ume:pw"}, "/usr/bin/curl"),
              ElementsAre("curl", "-u", "me:***", "-ume:***"));
  EXPECT_THAT(Mask({"ssh", "-p", "22"}, "/usr/bin/ssh"), ElementsAre("ssh", "-p", "22"));
}

TEST(SecretsTest, TheEndOfASecretThatWasCutIsMaskedToo) {
  v1::Event event;
  for (const char* arg : {"x", "--password=aaaa", "aaaa", "--to"}) event.add_args(arg);
  event.set_args_cut_at(2);
  event.set_args_omitted_bytes(100);
  MaskSecrets(event);
  EXPECT_THAT(event.args(), ElementsAre("x", "--password=***", "***", "--to"));
}

TEST(SecretsTest, OrdinaryCommandLinesStayAsTheyAre) {
  const std::vector<std::string> args = {"sendmail", "-oi", "-f",  "a@b.example", "--", "k@x",
                                         "=",        "==",  "://", "a=",          ""};
  EXPECT_THAT(Mask(args), ElementsAreArray(args));
}

}  // namespace
}  // namespace postern::enrich
