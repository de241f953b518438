// SPDX-License-Identifier: Apache-2.0
#include "agent/enrich/script.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace postern::enrich {
namespace {

std::string Script(const std::string& exe, const std::vector<std::string>& args) {
  v1::Event event;
  event.set_exe(exe);
  for (const std::string& arg : args) event.add_args(arg);
  return ScriptFromArgs(event);
}

TEST(ScriptTest, TheFirstArgumentThatIsNoOptionIsTheScript) {
  EXPECT_EQ(Script("/usr/bin/perl", {"/usr/sbin/apache2", "/tmp/bot.pl", "x"}), "/tmp/bot.pl");
  EXPECT_EQ(Script("/usr/bin/perl5.36.0", {"perl", "-wT", "-I", "lib", "bot.pl"}), "bot.pl");
  EXPECT_EQ(Script("/usr/bin/perl", {"perl", "-Ilib", "-MSocket", "bot.pl"}), "bot.pl");
  EXPECT_EQ(Script("/usr/bin/php8.2", {"php", "-d", "a=b", "mail.php"}), "mail.php");
  EXPECT_EQ(Script("/usr/bin/python3.11", {"python3", "-u", "-W", "ignore", "s.py"}), "s.py");
  EXPECT_EQ(Script("/usr/bin/ruby3.1", {"ruby", "-r", "socket", "s.rb"}), "s.rb");
  EXPECT_EQ(Script("/usr/bin/bash", {"bash", "+x", "-o", "posix", "run.sh"}), "run.sh");
  EXPECT_EQ(Script("/usr/bin/bash", {"bash", "--rcfile", "x", "run.sh"}), "run.sh");
  EXPECT_EQ(Script("/usr/bin/node", {"node", "--require", "a", "--x=y", "app.js"}), "app.js");
}

TEST(ScriptTest, AnOptionMayNameTheScript) {
  EXPECT_EQ(Script("/usr/bin/php8.2", {"php", "-f", "mail.php"}), "mail.php");
  EXPECT_EQ(Script("/usr/bin/php8.2", {"php", "-qfmail.php"}), "mail.php");
  EXPECT_EQ(Script("/usr/bin/php8.2", {"php", "--file=mail.php"}), "mail.php");
  EXPECT_EQ(Script("/usr/bin/perl", {"perl", "--", "-odd.pl"}), "-odd.pl");
}

TEST(ScriptTest, CodeOnTheCommandLineIsNoScript) {
  EXPECT_EQ(Script("/usr/bin/perl", {"perl", "-we", "print 1", "arg"}), "");
  EXPECT_EQ(Script("/usr/bin/php8.2", {"php", "-r", "mail();"}), "");
  EXPECT_EQ(Script("/usr/bin/python3.11", {"python3", "-c", "pass", "x"}), "");
  EXPECT_EQ(Script("/usr/bin/python3.11", {"python3", "-m", "http.server"}), "");
  EXPECT_EQ(Script("/usr/bin/dash", {"sh", "-c", "x"}), "");
  EXPECT_EQ(Script("/usr/bin/node", {"node", "--eval=1", "x"}), "");
}

TEST(ScriptTest, StandardInputIsNoScript) {
  EXPECT_EQ(Script("/usr/bin/perl", {"perl", "-"}), "");
  EXPECT_EQ(Script("/usr/bin/perl", {"perl"}), "");
  EXPECT_EQ(Script("/usr/bin/perl", {}), "");
}

TEST(ScriptTest, OtherProgramsRunNoScripts) {
  EXPECT_EQ(Script("/usr/sbin/php-fpm8.2", {"php-fpm: pool www", "x"}), "");
  EXPECT_EQ(Script("/usr/sbin/sendmail", {"sendmail", "x"}), "");
  EXPECT_EQ(Script("", {"perl", "x"}), "");
}

TEST(ScriptTest, AnArgumentThatWasCutIsNotTakenForThePath) {
  v1::Event event;
  event.set_exe("/usr/bin/perl");
  for (const char* arg : {"perl", "/very/long", "end.pl"}) event.add_args(arg);
  event.set_args_cut_at(2);
  event.set_args_omitted_bytes(4000);
  EXPECT_EQ(ScriptFromArgs(event), "");
  event.set_args_cut_at(3);
  event.add_args("tail");
  EXPECT_EQ(ScriptFromArgs(event), "/very/long");
}

}  // namespace
}  // namespace postern::enrich
