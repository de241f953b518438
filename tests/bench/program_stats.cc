// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/program_stats.h"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <linux/bpf.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <fstream>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/status.h"

namespace postern::bench {

std::vector<uint32_t> ProgramsOfProcess(pid_t pid) {
  std::vector<uint32_t> ids;
  std::error_code error;
  const std::filesystem::directory_iterator entries(absl::StrCat("/proc/", pid, "/fdinfo"), error);
  if (error) return ids;
  for (const auto& entry : entries) {
    std::ifstream file(entry.path());
    std::string line;
    while (std::getline(file, line)) {
      absl::string_view rest = line;
      uint32_t id = 0;
      if (absl::ConsumePrefix(&rest, "prog_id:") && absl::SimpleAtoi(rest, &id)) ids.push_back(id);
    }
  }
  // A program and its link both name it.
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  return ids;
}

absl::StatusOr<ProgramTimes> ReadProgramTimes(const std::vector<uint32_t>& ids) {
  ProgramTimes times;
  for (const uint32_t id : ids) {
    const UniqueFd fd(bpf_prog_get_fd_by_id(id));
    if (!fd.valid()) return ErrnoStatus(errno, absl::StrCat("program ", id));
    bpf_prog_info info = {};
    uint32_t size = sizeof(info);
    if (bpf_obj_get_info_by_fd(fd.get(), &info, &size) != 0) {
      return ErrnoStatus(errno, absl::StrCat("program ", id));
    }
    ProgramTime& time = times[info.name];
    time.runs += info.run_cnt;
    time.ns += info.run_time_ns;
  }
  return times;
}

void AddDifference(ProgramTimes& sum, const ProgramTimes& before, const ProgramTimes& after) {
  for (const auto& [name, time] : after) {
    const auto earlier = before.find(name);
    const ProgramTime base = earlier == before.end() ? ProgramTime{} : earlier->second;
    sum[name].runs += time.runs - base.runs;
    sum[name].ns += time.ns - base.ns;
  }
}

absl::StatusOr<UniqueFd> EnableProgramStats() {
  UniqueFd fd(bpf_enable_stats(BPF_STATS_RUN_TIME));
  if (!fd.valid()) return ErrnoStatus(errno, "cannot enable BPF statistics");
  return fd;
}

absl::StatusOr<size_t> CountConnectPrograms(const std::string& cgroup) {
  const UniqueFd fd(open(cgroup.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return ErrnoStatus(errno, cgroup);
  std::array<uint32_t, 64> ids;
  uint32_t count = ids.size();
  uint32_t flags = 0;
  if (bpf_prog_query(fd.get(), BPF_CGROUP_INET4_CONNECT, /*query_flags=*/0, &flags, ids.data(),
                     &count) != 0) {
    return ErrnoStatus(errno, cgroup);
  }
  return count;
}

}  // namespace postern::bench
