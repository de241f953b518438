// SPDX-License-Identifier: Apache-2.0
// Loads a configuration from a text, and says what was found in it.
#ifndef POSTERN_TESTS_UNIT_AGENT_POLICY_LOADING_H_
#define POSTERN_TESTS_UNIT_AGENT_POLICY_LOADING_H_

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "agent/policy/loader.h"
#include "tests/unit/agent/policy/fake_host.h"

namespace postern::policy {

inline LoadedConfig Load(const std::string& text, const FakeHost& host = FakeHost::WithPostfix()) {
  return LoadConfig("agent.yaml", text, host);
}

// The single fault of `text`, as "LINE: MESSAGE"; anything else is told too.
inline std::string OnlyFault(const std::string& text,
                             const FakeHost& host = FakeHost::WithPostfix()) {
  const LoadedConfig loaded = Load(text, host);
  std::vector<std::string> faults;
  for (const Finding& finding : loaded.findings.all()) {
    if (finding.severity == Severity::kFault) {
      faults.push_back(absl::StrCat(finding.line, ": ", finding.message));
    }
  }
  EXPECT_EQ(loaded.ok(), faults.empty());
  if (faults.size() == 1) return faults.front();
  return absl::StrCat(faults.size(), " faults");
}

inline std::vector<std::string> Warnings(const LoadedConfig& loaded) {
  std::vector<std::string> warnings;
  for (const Finding& finding : loaded.findings.all()) {
    if (finding.severity == Severity::kWarning) {
      warnings.push_back(absl::StrCat(finding.line, ": ", finding.message));
    }
  }
  return warnings;
}

}  // namespace postern::policy

#endif  // POSTERN_TESTS_UNIT_AGENT_POLICY_LOADING_H_
