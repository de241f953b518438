// SPDX-License-Identifier: Apache-2.0
#include "agent/policy/loader.h"

#include <sys/stat.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/policy/config_reader.h"
#include "agent/policy/rule_checks.h"
#include "common/small_file.h"
#include "common/yaml.h"

namespace postern::policy {
namespace {

// Who may write the configuration decides who may send. "" where that is root, or who
// runs this, alone. Access lists show in the group's bits (acl(5): they are the mask).
std::string OpenToOthers(const std::string& path, const struct stat& state) {
  if (state.st_uid != 0 && state.st_uid != geteuid()) {
    return absl::StrCat("belongs to uid ", state.st_uid,
                        ", who could let anybody send: chown root: ", path);
  }
  if ((state.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return absl::StrCat("is writable by ", (state.st_mode & S_IWOTH) != 0 ? "all" : "its group",
                        ", who could let anybody send: chmod go-w ", path);
  }
  return "";
}

}  // namespace

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
  struct stat state = {};
  auto text = ReadSmallFile(path, YamlReader::kMaxFileBytes, Links::kFollow, &state);
  std::string problem =
      text.ok() ? OpenToOthers(path, state) : std::string(text.status().message());
  if (problem.empty()) return LoadConfig(path, *std::move(text), host, missing);
  LoadedConfig loaded;
  loaded.file = path;
  loaded.findings.Fault(0, problem);
  return loaded;
}

LoadedConfig CheckConfigFile(const std::string& path) { return LoadConfigFile(path, *RealHost()); }

}  // namespace postern::policy
