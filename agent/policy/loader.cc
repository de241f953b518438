// SPDX-License-Identifier: Apache-2.0
#include "agent/policy/loader.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "agent/policy/config_reader.h"
#include "agent/policy/rule_checks.h"
#include "common/status.h"
#include "common/unique_fd.h"
#include "common/yaml.h"

namespace postern::policy {
namespace {

// One byte past what the reader takes, so that it refuses the file and not us.
constexpr size_t kBytesMax = YamlReader::kMaxFileBytes + 1;

absl::StatusOr<std::string> ReadText(const std::string& path) {
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd.valid()) return ErrnoStatus(errno, "cannot be read");
  struct stat state = {};
  if (fstat(fd.get(), &state) != 0) return ErrnoStatus(errno, "cannot be read");
  if (!S_ISREG(state.st_mode)) {
    return absl::FailedPreconditionError("cannot be read: not a regular file");
  }
  std::string text;
  std::vector<char> buffer(16384);
  while (text.size() < kBytesMax) {
    const ssize_t got = read(fd.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoStatus(errno, "cannot be read");
    if (got == 0) break;
    text.append(buffer.data(), static_cast<size_t>(got));
  }
  return text;
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
  auto text = ReadText(path);
  if (text.ok()) return LoadConfig(path, *std::move(text), host, missing);
  LoadedConfig loaded;
  loaded.file = path;
  loaded.findings.Fault(0, std::string(text.status().message()));
  return loaded;
}

LoadedConfig CheckConfigFile(const std::string& path) { return LoadConfigFile(path, *RealHost()); }

LoadedConfig DefaultConfig(const Host& host) {
  return LoadConfig("built-in configuration", "", host);
}

}  // namespace postern::policy
