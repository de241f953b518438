// SPDX-License-Identifier: Apache-2.0
// Which configuration the agent starts from: the file, or, where that is refused,
// the last one that was accepted.
#ifndef POSTERN_AGENT_STARTUP_CONFIG_H_
#define POSTERN_AGENT_STARTUP_CONFIG_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "agent/policy/host.h"
#include "agent/policy/loader.h"

namespace postern::agent {

struct StartupConfig {
  policy::LoadedConfig loaded;  // ok()
  // Lines that say why the file was refused; empty where it was not.
  std::vector<std::string> refused;
};

// InvalidArgument where neither can be used. Faults and warnings are logged.
absl::StatusOr<StartupConfig> ChooseConfig(const std::string& file, const policy::Host& host);

// Value of `key: value` at the top of a YAML text that was refused as a whole; ""
// where there is none. Only to find what an earlier start left.
std::string TopLevelValue(absl::string_view text, absl::string_view key);

// `bpffs:` of a file whose other faults do not matter. InvalidArgument, with one
// line, where the file cannot be read, is no YAML, or leaves the folder in doubt.
absl::StatusOr<std::string> PinFolderOf(const std::string& file);

// Each finding to the log: faults as errors.
void LogFindings(const policy::LoadedConfig& loaded);

}  // namespace postern::agent

#endif  // POSTERN_AGENT_STARTUP_CONFIG_H_
