// SPDX-License-Identifier: Apache-2.0
#include "agent/startup_config.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "agent/policy/config_reader.h"
#include "agent/policy/last_good.h"
#include "common/atomic_file.h"
#include "common/log.h"
#include "common/small_file.h"
#include "common/yaml.h"

namespace postern::agent {

std::string TopLevelValue(absl::string_view text, absl::string_view key) {
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    if (!absl::ConsumePrefix(&line, key) || !absl::ConsumePrefix(&line, ":")) continue;
    line = line.substr(0, line.find(" #"));
    line = absl::StripAsciiWhitespace(line);
    for (const absl::string_view quote : {"\"", "'"}) {
      if (absl::ConsumePrefix(&line, quote)) absl::ConsumeSuffix(&line, quote);
    }
    return std::string(line);
  }
  return "";
}

absl::StatusOr<std::string> PinFolderOf(const std::string& file) {
  const auto text = ReadSmallFile(file, YamlReader::kMaxFileBytes, Links::kFollow);
  if (!text.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(file, " ", text.status().message()));
  }
  YamlReader reader(file);
  reader.Parse(*text);
  if (!reader.faults().empty()) {
    return absl::InvalidArgumentError(reader.faults().front().ToString());
  }
  policy::Findings findings;
  policy::Config config = policy::ParseConfig(file, *text, findings);
  for (const policy::Finding& finding : findings.all()) {
    // A misspelt or doubled key is told with its right name too.
    if (finding.severity == policy::Severity::kFault &&
        absl::StrContains(finding.message, "bpffs")) {
      return absl::InvalidArgumentError(policy::ToString(file, finding));
    }
  }
  return std::move(config.bpffs);
}

void LogFindings(const policy::LoadedConfig& loaded) {
  for (const policy::Finding& finding : loaded.findings.all()) {
    const LogLevel level = finding.severity == policy::Severity::kFault     ? LogLevel::kError
                           : finding.severity == policy::Severity::kWarning ? LogLevel::kWarning
                                                                            : LogLevel::kInfo;
    // The log says itself what is a warning.
    Log(level, level == LogLevel::kInfo ? policy::ToString(loaded.file, finding)
                                        : policy::WithoutSeverity(loaded.file, finding));
  }
}

absl::StatusOr<StartupConfig> ChooseConfig(const std::string& file, const policy::Host& host) {
  StartupConfig chosen;
  chosen.loaded = policy::LoadConfigFile(file, host);
  LogFindings(chosen.loaded);
  if (chosen.loaded.ok()) return chosen;

  std::string state_dir = TopLevelValue(chosen.loaded.text, "state_dir");
  if (!absl::StartsWith(state_dir, "/")) state_dir = policy::Config().state_dir;
  const policy::LastGood last_good(state_dir);
  absl::StatusOr<policy::LoadedConfig> kept = last_good.Load(host);
  if (!kept.ok() || !kept->ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("configuration ", file, " is refused; posternd --check-config ", file,
                     " shows why, and no earlier one that was accepted is kept in ", state_dir));
  }
  for (const policy::Finding& finding : chosen.loaded.findings.all()) {
    if (finding.severity == policy::Severity::kFault) {
      chosen.refused.push_back(policy::ToString(file, finding));
    }
  }
  chosen.refused.insert(
      chosen.refused.begin(),
      absl::StrCat("configuration ", file, " is refused; the last accepted one holds, from ",
                   last_good.path(), ": mend the file and reload"));
  LogError("%s", chosen.refused.front());
  chosen.loaded = *std::move(kept);
  LogFindings(chosen.loaded);
  return chosen;
}

}  // namespace postern::agent
