// SPDX-License-Identifier: Apache-2.0
// The configuration that is shipped, and the texts the fuzzer starts from.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "agent/policy/compiler.h"
#include "agent/policy/loader.h"
#include "tests/unit/agent/policy/fake_host.h"

namespace postern::policy {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string ReadWhole(const std::string& path) {
  std::ifstream file(path);
  EXPECT_TRUE(file.good()) << path;
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string Shipped() { return ReadWhole(POSTERN_SOURCE_DIR "/packaging/agent.yaml"); }

// Takes the "#" from every line that waits to be used.
std::string Uncommented(const std::string& text) {
  std::vector<std::string> lines = absl::StrSplit(text, '\n');
  for (std::string& line : lines) {
    const bool prose = line.size() < 2 || (line[1] == ' ' && line.substr(0, 3) != "#  ");
    if (absl::StartsWith(line, "#") && !prose) line.erase(0, 1);
  }
  return absl::StrJoin(lines, "\n");
}

std::vector<std::string> Texts(const std::vector<Account>& accounts) {
  std::vector<std::string> texts;
  for (const Account& account : accounts) texts.push_back(account.text);
  return texts;
}

// Has every account and every program there is.
class GenerousHost : public Host {
 public:
  absl::StatusOr<uint32_t> UserId(const std::string& name) const override {
    return name == "root" ? 0U : 100 + static_cast<uint32_t>(std::hash<std::string>()(name) % 9999);
  }
  absl::StatusOr<uint32_t> GroupId(const std::string& name) const override { return UserId(name); }
  absl::StatusOr<FileState> Look(const std::string& path) const override {
    const std::string name = std::filesystem::path(path).filename();
    const bool folder = name.empty() || name == "usr" || name == "sbin" || name == "bin" ||
                        name == "lib" || path == "/usr/lib/postfix" || name == "nagios" ||
                        name == "plugins" || name == "dovecot";
    return FileState{(folder ? S_IFDIR : S_IFREG) | mode_t{0755}, 0};
  }
  absl::StatusOr<std::string> ReadLink(const std::string& path) const override {
    return absl::NotFoundError(path);
  }
  absl::StatusOr<std::string> ReadStart(const std::string&, size_t) const override {
    return "\x7f";
  }
  bool IsBeingWritten(const std::string&) const override { return false; }
};

TEST(ShippedConfigurationTest, IsAcceptedAsItIsWithAndWithoutPostfix) {
  const LoadedConfig with = LoadConfig("agent.yaml", Shipped(), FakeHost::WithPostfix());
  ASSERT_TRUE(with.ok()) << absl::StrJoin(with.Lines(), "\n");
  EXPECT_THAT(with.Lines(), ElementsAre(HasSubstr("the built-in ones hold (postfix, local)")));
  EXPECT_EQ(with.config->mode, Mode::kMonitor);
  EXPECT_EQ(with.config->rules.size(), 2U);
  EXPECT_TRUE(LoadConfig("agent.yaml", Shipped(), FakeHost::Bare()).ok());
}

TEST(ShippedConfigurationTest, EveryCommentedRuleIsAccepted) {
  const LoadedConfig loaded = LoadConfig("agent.yaml", Uncommented(Shipped()), GenerousHost());
  ASSERT_TRUE(loaded.ok()) << absl::StrJoin(loaded.Lines(), "\n");
  std::vector<std::string> names;
  for (const Rule& rule : loaded.config->rules) names.push_back(rule.name);
  EXPECT_THAT(names, ElementsAre("postfix", "local", "exim", "opensmtpd", "msmtp", "dma",
                                 "dovecot-submission", "nginx-mail", "haproxy-mail", "stunnel",
                                 "check-smtp", "shop", "plugins", "postfix-in-container"));
  EXPECT_EQ(loaded.config->host, "web1.example.net");
  EXPECT_EQ(loaded.config->collector_addresses.size(), 1U);
}

TEST(ShippedConfigurationTest, ItsCommentedSettingsAreTheBuiltInOnes) {
  const LoadedConfig shipped = LoadConfig("agent.yaml", Uncommented(Shipped()), GenerousHost());
  const LoadedConfig built_in = LoadConfig("agent.yaml", "{}", FakeHost::WithPostfix());
  ASSERT_TRUE(shipped.ok() && built_in.ok());
  EXPECT_EQ(shipped.config->ports, built_in.config->ports);
  EXPECT_EQ(shipped.config->default_action, built_in.config->default_action);
  EXPECT_EQ(shipped.config->deny_errno, built_in.config->deny_errno);
  EXPECT_EQ(shipped.config->on_stop, built_in.config->on_stop);
  EXPECT_EQ(shipped.config->events, built_in.config->events);
  EXPECT_EQ(shipped.config->spool_max_bytes, built_in.config->spool_max_bytes);
  for (size_t i = 0; i < 2; ++i) {
    const Rule& a = shipped.config->rules[i];
    const Rule& b = built_in.config->rules[i];
    EXPECT_EQ(a.name, b.name);
    EXPECT_EQ(a.action, b.action);
    EXPECT_EQ(a.destination_local, b.destination_local);
    EXPECT_EQ(Texts(a.users), Texts(b.users));
    EXPECT_EQ(Texts(a.started_as), Texts(b.started_as));
    ASSERT_EQ(a.exes.size(), b.exes.size());
    for (size_t exe = 0; exe < a.exes.size(); ++exe) {
      EXPECT_EQ(a.exes[exe].path, b.exes[exe].path);
    }
  }
}

TEST(FuzzCorpusTest, EveryTextIsEitherRefusedWithAReasonOrCompiles) {
  int texts = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(POSTERN_SOURCE_DIR "/tests/fuzz/config/corpus")) {
    ++texts;
    const LoadedConfig loaded =
        LoadConfig("agent.yaml", ReadWhole(entry.path()), FakeHost::WithPostfix());
    EXPECT_NE(loaded.ok(), loaded.findings.has_faults()) << entry.path();
    if (!loaded.ok()) continue;
    const auto policy = Compile(*loaded.config, [](const std::string& path) {
      return absl::StatusOr<BinaryId>(BinaryId{1, {path.size(), 1}});
    });
    EXPECT_TRUE(policy.ok()) << entry.path();
  }
  EXPECT_GE(texts, 9);
}

}  // namespace
}  // namespace postern::policy
