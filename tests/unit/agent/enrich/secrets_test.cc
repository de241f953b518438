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

TEST(SecretsTest, APasswordBesideAUserIsMaskedAndAPortIsNot) {
  EXPECT_THAT(Mask({"bot.pl", "-u", "shop", "-p", "secret", "-h", "mx"}, "/usr/bin/perl"),
              ElementsAre("bot.pl", "-u", "shop", "-p", "***", "-h", "mx"));
  EXPECT_THAT(Mask({"x", "-p", "secret", "--user=shop"}),
              ElementsAre("x", "-p", "***", "--user=shop"));
  for (const char* port : {"25", "8025:25", "127.0.0.1:25:25"}) {
    EXPECT_THAT(Mask({"x", "-u", "shop", "-p", port}), ElementsAre("x", "-u", "shop", "-p", port));
  }
  EXPECT_THAT(Mask({"x", "-p", "prefix", "-umask"}), ElementsAre("x", "-p", "prefix", "-umask"));
  EXPECT_THAT(Mask({"x", "-u", "shop", "-p"}), ElementsAre("x", "-u", "shop", "-p"));
}

TEST(SecretsTest, MoreProgramsWithShortOptions) {
  EXPECT_THAT(Mask({"mysqlimport", "-psecret", "db"}, "/usr/bin/mysqlimport"),
              ElementsAre("mysqlimport", "-p***", "db"));
  EXPECT_THAT(Mask({"mysql", "-u", "me", "-p", "db"}, "/usr/bin/mysql"),
              ElementsAre("mysql", "-u", "me", "-p", "db"))
      << "it asks for the password, and the argument is a database";
  EXPECT_THAT(Mask({"sendemail", "-xu", "me", "-xp", "secret"}, "/usr/bin/sendemail"),
              ElementsAre("sendemail", "-xu", "me", "-xp", "***"));
  EXPECT_THAT(Mask({"lftp", "-u", "me,secret", "h"}, "/usr/bin/lftp"),
              ElementsAre("lftp", "-u", "me,***", "h"));
  EXPECT_THAT(Mask({"smbclient", "-U", "me%secret"}, "/usr/bin/smbclient"),
              ElementsAre("smbclient", "-U", "me%***"));
  EXPECT_THAT(Mask({"plink", "-pw", "secret", "h"}), ElementsAre("plink", "-pw", "***", "h"));
  EXPECT_THAT(Mask({"openssl", "s_client", "-passin", "pass:secret"}),
              ElementsAre("openssl", "s_client", "-passin", "***"));
}

TEST(SecretsTest, AssignmentsOfScriptsAndHeadersAreMasked) {
  EXPECT_THAT(Mask({"php", "-r", "$m->Password = 'a b'; $m->To = 'x';"}),
              ElementsAre("php", "-r", "$m->Password = '***'; $m->To = 'x';"));
  EXPECT_THAT(Mask({"perl", "-e", "auth(password => 'x y', to => 'z')"}),
              ElementsAre("perl", "-e", "auth(password => '***', to => 'z')"));
  EXPECT_THAT(Mask({"curl", "-d", "{\"api_key\": \"x\", \"to\": \"y\"}"}),
              ElementsAre("curl", "-d", "{\"api_key\": \"***\", \"to\": \"y\"}"));
  EXPECT_THAT(Mask({"curl", "-H", "X-Auth-Token: a b"}),
              ElementsAre("curl", "-H", "X-Auth-Token: ***"));
  EXPECT_THAT(Mask({"perl", "-e", "if ($key == $x) { print qq(key:$x) }"}),
              ElementsAre("perl", "-e", "if ($key == $x) { print qq(key:$x) }"));
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
