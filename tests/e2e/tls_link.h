// SPDX-License-Identifier: Apache-2.0
// An agent whose collector is behind TLS, on TCP. It has no certificate yet.
#ifndef POSTERN_TESTS_E2E_TLS_LINK_H_
#define POSTERN_TESTS_E2E_TLS_LINK_H_

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/support/free_port.h"
#include "tests/support/lab/files.h"
#include "tests/support/lab/lab.h"

namespace postern::lab {

class TlsLink : public Lab {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(Lab::SetUp());
    pki_ = root() + "/pki";
    pin_ = Pki({"init", "--name", "127.0.0.1"}).value("ca_pin", "");
    ASSERT_NE(pin_, "");
    // So that it is renewed within the test.
    std::ofstream(Folder() + "/collector.yaml", std::ios::app)
        << "listen: \"" << address_ << "\"\npki: {dir: " << pki_ << ", lifetime: 20s}\n"
        << collector_extra_;
    AgentConfig config;
    config.rules = DefaultRules(smtp());
    config.collector = false;
    config.extra = absl::StrCat("collector: {address: \"", address_, "\"}\n", agent_extra_);
    postern().Configure(config);
    ASSERT_NO_FATAL_FAILURE(postern().StartCollector());
    ASSERT_NO_FATAL_FAILURE(postern().StartAgent());
  }

  std::string Folder() const {
    return std::filesystem::path(postern().config_file()).parent_path();
  }
  // What `postern pki WORDS… --json` says.
  nlohmann::json Pki(std::vector<std::string> words) const {
    words.insert(words.begin(),
                 {std::filesystem::path(postern().posternd()).parent_path() / "postern", "pki"});
    words.insert(words.end(), {"--dir", pki_, "--json"});
    const support::Finished made = support::RunToEnd(words);
    EXPECT_EQ(made.exit_code, 0) << made.error;
    return nlohmann::json::parse(made.output, nullptr, /*allow_exceptions=*/false);
  }
  void Enrol() {
    const std::string token = Pki({"token", "lab.example.net"}).value("token", "");
    const support::Finished enrolled =
        postern().RunAgent({"--config", postern().config_file(), "--enroll", address_, "--token",
                            token, "--ca-pin", pin_});
    ASSERT_EQ(enrolled.exit_code, 0) << enrolled.error;
  }
  bool HasProblem(const std::string& text) {
    return Eventually(
        [&] { return absl::StrContains(postern().Status()["problems"].dump(), text); });
  }
  std::string Certificate() const { return ReadFile(postern().state_dir() + "/tls/agent.pem"); }

  // Further lines of both configurations, from before SetUp().
  std::string agent_extra_;
  std::string collector_extra_;
  const std::string address_ = "127.0.0.1:" + support::FreePort();
  std::string pki_;
  std::string pin_;
};

}  // namespace postern::lab

#endif  // POSTERN_TESTS_E2E_TLS_LINK_H_
