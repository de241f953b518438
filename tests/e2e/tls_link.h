// SPDX-License-Identifier: Apache-2.0
// An agent whose collector is behind TLS, on TCP. It has no certificate yet.
#ifndef POSTERN_TESTS_E2E_TLS_LINK_H_
#define POSTERN_TESTS_E2E_TLS_LINK_H_

#include <filesystem>
#include <fstream>
#include <optional>
#include <string>

#include "absl/strings/match.h"
#include "tests/support/lab/files.h"
#include "tests/support/lab/lab.h"
#include "tests/support/lab/tls_collector.h"

namespace postern::lab {

class TlsLink : public Lab {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(Lab::SetUp());
    // So that certificates are renewed within the test.
    tls_.emplace(postern(), root() + "/pki", "20s");
    std::ofstream(Folder() + "/collector.yaml", std::ios::app) << collector_extra_;
    AgentConfig config;
    config.rules = DefaultRules(smtp());
    config.collector_address = tls_->address();
    config.extra = agent_extra_;
    postern().Configure(config);
    ASSERT_NO_FATAL_FAILURE(postern().StartCollector());
    ASSERT_NO_FATAL_FAILURE(postern().StartAgent());
  }

  std::string Folder() const {
    return std::filesystem::path(postern().config_file()).parent_path();
  }
  bool HasProblem(const std::string& text) {
    return Eventually(
        [&] { return absl::StrContains(postern().Status()["problems"].dump(), text); });
  }
  std::string Certificate() const { return ReadFile(postern().state_dir() + "/tls/agent.pem"); }

  // Further lines of both configurations, from before SetUp().
  std::string agent_extra_;
  std::string collector_extra_;
  std::optional<TlsCollector> tls_;
};

}  // namespace postern::lab

#endif  // POSTERN_TESTS_E2E_TLS_LINK_H_
