// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/memory.h"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <memory>
#include <nlohmann/json.hpp>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "common/status.h"
#include "tests/bench/postern.h"
#include "tests/bench/rest.h"
#include "tests/bench/samples.h"
#include "tests/bench/workload.h"

namespace postern::bench {
namespace {

// Users, a process each: whole records a second are budgeted for each user
// (POSTERN_WHOLE_RECORDS_PER_UID), so that one alone could not make them.
constexpr int kCallers = 8;
constexpr uid_t kFirstUser = 60'001;
constexpr int kBurst = 120;
constexpr absl::Duration kBetweenBursts = absl::Milliseconds(100);
constexpr int kParts = 10;
constexpr absl::Duration kPatience = absl::Seconds(60);
constexpr double kMib = 1024.0 * 1024.0;

using Counts = std::atomic<int64_t>[kCallers];

class Callers {
 public:
  Callers() = default;
  ~Callers() {
    for (const pid_t pid : pids_) {
      kill(pid, SIGKILL);
      waitpid(pid, nullptr, 0);
    }
    if (made_ != nullptr) munmap(made_, sizeof(Counts));
  }
  Callers(const Callers&) = delete;
  Callers& operator=(const Callers&) = delete;

  absl::Status Start(int64_t each) {
    void* shared =
        mmap(nullptr, sizeof(Counts), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) return ErrnoStatus(errno, "no memory to share");
    made_ = static_cast<std::atomic<int64_t>*>(shared);
    for (int i = 0; i < kCallers; ++i) {
      const pid_t pid = fork();
      if (pid < 0) return ErrnoStatus(errno, "cannot fork");
      if (pid == 0) _exit(Call(kFirstUser + static_cast<uid_t>(i), each, made_[i]));
      pids_.push_back(pid);
    }
    return absl::OkStatus();
  }

  int64_t made() const {
    int64_t made = 0;
    for (int i = 0; i < kCallers; ++i) made += made_[i];
    return made;
  }
  // Whether one has ended.
  bool Ended() {
    return std::any_of(pids_.begin(), pids_.end(), [](pid_t pid) {
      siginfo_t info = {};
      return waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
             info.si_pid != 0;
    });
  }

 private:
  static int Call(uid_t user, int64_t each, std::atomic<int64_t>& made) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (setuid(user) != 0) return 1;
    while (made < each) {
      const int count = static_cast<int>(std::min<int64_t>(kBurst, each - made));
      if (!TimeConnects(kWatchedPort, Destination::kEachItsOwn, count).ok()) return 1;
      made += count;
      absl::SleepFor(kBetweenBursts);
    }
    // Its end would be an event of its own in the middle of the measuring.
    pause();
    return 0;
  }

  std::vector<pid_t> pids_;
  std::atomic<int64_t>* made_ = nullptr;
};

struct OnRecord {
  uint64_t attempts = 0;
  uint64_t missing = 0;
};

absl::StatusOr<OnRecord> CountRecorded(const Postern& postern) {
  const support::Finished answer =
      postern.Ask({"query", "--json", "--since", "-1h", "--group-by", "host"});
  if (answer.exit_code != 0) return absl::UnavailableError(answer.error);
  OnRecord recorded;
  for (const absl::string_view line : absl::StrSplit(answer.output, '\n', absl::SkipEmpty())) {
    const auto row = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!row.is_object()) continue;
    if (row.value("kind", "") == "group") recorded.attempts += row.value("count", 0ull);
    if (row.value("kind", "") == "completeness") recorded.missing = row.value("missing", 0ull);
  }
  return recorded;
}

std::string Mib(uint64_t bytes) {
  return absl::StrFormat("%.1f", static_cast<double>(bytes) / kMib);
}

}  // namespace

absl::Status MeasureMemory(const Lab& lab, const std::string& bin, int64_t events,
                           const std::function<bool()>& go_on) {
  ASSIGN_OR_RETURN(const std::unique_ptr<Postern> postern,
                   Postern::Start(lab, bin, "monitor", /*with_collector=*/true));
  Callers callers;
  RETURN_IF_ERROR(callers.Start(events / kCallers));
  const int64_t all = events / kCallers * kCallers;
  Report report({"attempts made", "agent, MiB", "beside the rings", "collector, MiB"});
  for (int part = 1; part <= kParts; ++part) {
    while (callers.made() < all / kParts * part) {
      if (!go_on()) return absl::CancelledError("interrupted; nothing is left behind");
      if (callers.Ended()) return absl::InternalError("a process that connects ended early");
      absl::SleepFor(absl::Milliseconds(50));
    }
    ASSIGN_OR_RETURN(const Memory agent, ReadMemory(postern->agent_pid()));
    ASSIGN_OR_RETURN(const Memory collector, ReadMemory(postern->collector_pid()));
    report.Add({absl::StrCat(callers.made()), Mib(agent.resident_bytes),
                Mib(agent.resident_bytes - agent.ring_bytes), Mib(collector.resident_bytes)});
    absl::FPrintF(stderr, "%d of %d attempts\n", callers.made(), all);
  }
  const absl::Time deadline = absl::Now() + kPatience;
  OnRecord recorded;
  do {
    ASSIGN_OR_RETURN(recorded, CountRecorded(*postern));
  } while (recorded.attempts + recorded.missing < static_cast<uint64_t>(all) && go_on() &&
           absl::Now() < deadline);
  absl::PrintF(
      "%d processes of as many users, each attempt a record of its own\n%s"
      "  on record %d of %d, told as missing %d  (goal: the sum is what was made)\n",
      kCallers, report.Text(), recorded.attempts, all, recorded.missing);
  return absl::OkStatus();
}

}  // namespace postern::bench
