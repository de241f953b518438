// SPDX-License-Identifier: Apache-2.0
// From agent.yaml to a configuration that was checked against this host. What
// `posternd --check-config` shows, and what posternd starts from.
#ifndef POSTERN_AGENT_POLICY_LOADER_H_
#define POSTERN_AGENT_POLICY_LOADER_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "agent/policy/config.h"
#include "agent/policy/finding.h"
#include "agent/policy/host.h"
#include "agent/policy/resolver.h"

namespace postern::policy {

struct LoadedConfig {
  std::optional<Config> config;  // absent if anything was a fault
  std::string file;
  std::string text;   // as read; what LastGood keeps
  Findings findings;  // by line

  bool ok() const { return config.has_value(); }
  // "FILE:LINE: …" a finding: faults, warnings and notes alike.
  std::vector<std::string> Lines() const;
};

// `file` is for messages.
LoadedConfig LoadConfig(const std::string& file, std::string text, const Host& host,
                        Missing missing = Missing::kRefuse);

// A file that cannot be read is one fault, and so is one that others than root and who
// runs this could write: nothing that it says is taken. Needs no root: what only root may
// see becomes a warning. Never blocks on what is no regular file.
LoadedConfig LoadConfigFile(const std::string& path, const Host& host,
                            Missing missing = Missing::kRefuse);

// LoadConfigFile against this machine.
LoadedConfig CheckConfigFile(const std::string& path);

}  // namespace postern::policy

#endif  // POSTERN_AGENT_POLICY_LOADER_H_
