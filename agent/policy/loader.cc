// SPDX-License-Identifier: Apache-2.0
#include "agent/policy/loader.h"

#include <utility>

#include "agent/policy/config_reader.h"
#include "agent/policy/rule_checks.h"
#include "common/atomic_file.h"
#include "common/yaml.h"

namespace postern::policy {

std::vector<std::string> LoadedConfig::Lines() const {
  std::vector<std::string> lines;
  for (const Finding& finding : findings.all()) lines.push_back(ToString(file, finding));
  return lines;
}

LoadedConfig LoadConfig(const std::string& file, std::string text, const Host& host,
                        Missing missing) {
  LoadedConfig loaded;
  loaded.file = file;
  loaded.text = std::move(text);
  Config config = ParseConfig(file, loaded.text, loaded.findings);
  ResolveNames(host, missing, config, loaded.findings);
  CheckRules(config, loaded.findings);
  loaded.findings.Sort();
  if (!loaded.findings.has_faults()) loaded.config = std::move(config);
  return loaded;
}

LoadedConfig LoadConfigFile(const std::string& path, const Host& host, Missing missing) {
  auto text = ReadSmallFile(path, YamlReader::kMaxFileBytes, Links::kFollow);
  if (text.ok()) return LoadConfig(path, *std::move(text), host, missing);
  LoadedConfig loaded;
  loaded.file = path;
  loaded.findings.Fault(0, std::string(text.status().message()));
  return loaded;
}

LoadedConfig CheckConfigFile(const std::string& path) { return LoadConfigFile(path, *RealHost()); }

}  // namespace postern::policy
