// SPDX-License-Identifier: Apache-2.0
#include "agent/enrich/host_identity.h"

#include <fcntl.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdio>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "agent/sensor/decoder.h"
#include "common/status.h"
#include "common/unique_fd.h"

namespace postern::enrich {
namespace {

constexpr char kBootId[] = "/proc/sys/kernel/random/boot_id";
constexpr size_t kAgentIdBytes = 16;

absl::StatusOr<std::string> ReadLine(const std::string& path) {
  const UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!file.valid()) return ErrnoStatus(errno, path);
  char buffer[128];
  const ssize_t size = read(file.get(), buffer, sizeof(buffer));
  if (size < 0) return ErrnoStatus(errno, path);
  return std::string(absl::StripAsciiWhitespace({buffer, static_cast<size_t>(size)}));
}

absl::StatusOr<std::string> MakeAgentId(const std::string& path) {
  char bytes[kAgentIdBytes];
  if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes)) {
    return ErrnoStatus(errno, "random number for the agent's id");
  }
  const std::string id = absl::BytesToHexString({bytes, sizeof(bytes)});
  const std::string line = absl::StrCat(id, "\n");
  // By rename: after a crash there is a whole id or none.
  const std::string aside = absl::StrCat(path, ".new");
  const UniqueFd file(
      open(aside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file.valid()) return ErrnoStatus(errno, aside);
  if (write(file.get(), line.data(), line.size()) != static_cast<ssize_t>(line.size()) ||
      fsync(file.get()) != 0) {
    return ErrnoStatus(errno, aside);
  }
  if (rename(aside.c_str(), path.c_str()) != 0) return ErrnoStatus(errno, path);
  return id;
}

absl::StatusOr<std::string> AgentId(const std::string& state_dir) {
  const std::string path = absl::StrCat(state_dir, "/agent-id");
  const absl::StatusOr<std::string> kept = ReadLine(path);
  if (kept.ok() && kept->size() == 2 * kAgentIdBytes &&
      std::all_of(kept->begin(), kept->end(),
                  [](unsigned char c) { return absl::ascii_isxdigit(c); })) {
    return *kept;
  }
  return MakeAgentId(path);
}

}  // namespace

absl::StatusOr<HostIdentity> IdentifyHost(const std::string& state_dir,
                                          const std::string& configured_host) {
  HostIdentity identity;
  identity.host = sensor::PrintableText(configured_host);
  if (identity.host.empty()) {
    char name[HOST_NAME_MAX + 1] = "";
    if (gethostname(name, sizeof(name) - 1) != 0) return ErrnoStatus(errno, "host name");
    identity.host = sensor::PrintableText(name);
  }
  ASSIGN_OR_RETURN(identity.agent, AgentId(state_dir));
  ASSIGN_OR_RETURN(identity.boot, ReadLine(kBootId));
  return identity;
}

}  // namespace postern::enrich
