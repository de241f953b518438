// SPDX-License-Identifier: Apache-2.0
#include "agent/process_names.h"

#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "agent/sensor/decoder.h"

namespace postern::agent {

std::string CommOf(uint32_t pid) {
  std::ifstream file(absl::StrCat("/proc/", pid, "/comm"));
  std::string comm;
  std::getline(file, comm);
  return sensor::PrintableText(comm);
}

std::string CgroupOf(uint32_t pid) {
  std::ifstream file(absl::StrCat("/proc/", pid, "/cgroup"));
  for (std::string line; std::getline(file, line);) {
    absl::string_view path = line;
    if (absl::ConsumePrefix(&path, "0::")) return sensor::PrintableText(path);
  }
  return "";
}

}  // namespace postern::agent
