// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/rest.h"

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace postern::bench {

absl::StatusOr<Memory> ReadMemory(pid_t pid) {
  std::ifstream file(absl::StrCat("/proc/", pid, "/smaps"));
  if (!file) return absl::NotFoundError(absl::StrCat("there is no process ", pid));
  Memory memory;
  bool of_map = false;
  std::string line;
  while (std::getline(file, line)) {
    std::istringstream words(line);
    std::string first;
    words >> first;
    if (first == "Rss:") {
      uint64_t kib = 0;
      words >> kib;
      memory.resident_bytes += kib << 10;
      if (of_map) memory.ring_bytes += kib << 10;
    } else if (first.back() != ':') {
      // "ADDRESS-ADDRESS rw-s … anon_inode:bpf-map": a mapping begins.
      of_map = absl::StrContains(line, "bpf-map");
    }
  }
  return memory;
}

absl::StatusOr<uint64_t> ReadCpuNs(pid_t pid) {
  std::error_code error;
  const std::filesystem::directory_iterator threads(absl::StrCat("/proc/", pid, "/task"), error);
  if (error) return absl::NotFoundError(absl::StrCat("there is no process ", pid));
  uint64_t total = 0;
  for (const auto& thread : threads) {
    // sched_info: ns on a core, ns waited, times run.
    std::ifstream file(thread.path() / "schedstat");
    uint64_t ns = 0;
    if (file >> ns) total += ns;
  }
  return total;
}

}  // namespace postern::bench
