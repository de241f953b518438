// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/latency.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/status.h"
#include "common/unique_fd.h"
#include "tests/bench/postern.h"
#include "tests/bench/rest.h"
#include "tests/bench/samples.h"
#include "tests/bench/workload.h"

namespace postern::bench {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(10);
constexpr absl::Duration kHammering = absl::Seconds(3);
constexpr char kHammered[] = "127.0.0.1";

absl::Status ConnectOnce(const std::string& address) {
  sockaddr_in to = {};
  to.sin_family = AF_INET;
  to.sin_port = htons(kWatchedPort);
  inet_pton(AF_INET, address.c_str(), &to.sin_addr);
  const UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof(to)) != 0 &&
      errno != ECONNREFUSED) {
    return ErrnoStatus(errno, "connect()");
  }
  return absl::OkStatus();
}

absl::Status MeasureRest(const Postern& postern, int seconds) {
  ASSIGN_OR_RETURN(const uint64_t before, ReadCpuNs(postern.agent_pid()));
  const absl::Time start = absl::Now();
  absl::SleepFor(absl::Seconds(seconds));
  ASSIGN_OR_RETURN(const uint64_t after, ReadCpuNs(postern.agent_pid()));
  const double wall = absl::ToDoubleNanoseconds(absl::Now() - start);
  ASSIGN_OR_RETURN(const Memory memory, ReadMemory(postern.agent_pid()));
  const double mib = 1024.0 * 1024.0;
  absl::PrintF("Agent at rest, over %d s\n", seconds);
  absl::PrintF("  resident beside the rings  %.1f MiB  (goal 25; rings %.1f MiB)\n",
               static_cast<double>(memory.resident_bytes - memory.ring_bytes) / mib,
               static_cast<double>(memory.ring_bytes) / mib);
  absl::PrintF("  of one core                %.3f %%   (goal 0.1)\n\n",
               100.0 * static_cast<double>(after - before) / wall);
  return absl::OkStatus();
}

absl::Status MeasureLatency(const Postern& postern, int attempts) {
  Samples found;
  Samples asking;
  for (int i = 0; i < attempts; ++i) {
    const std::string address = absl::StrFormat("127.1.%d.%d", i / 250, i % 250 + 1);
    const absl::Time start = absl::Now();
    RETURN_IF_ERROR(ConnectOnce(address));
    for (;;) {
      const absl::Time asked = absl::Now();
      const support::Finished answer =
          postern.Ask({"query", "--json", "--since", "-5m", "--to", address});
      const absl::Time now = absl::Now();
      asking.Add(absl::ToDoubleNanoseconds(now - asked));
      if (absl::StrContains(answer.output, absl::StrCat("\"destination\":\"", address, "\""))) {
        found.Add(absl::ToDoubleNanoseconds(now - start));
        break;
      }
      if (now - start > kPatience) {
        return absl::DeadlineExceededError(
            absl::StrCat("an attempt was not found within 10 s; the query says: ", answer.output));
      }
    }
  }
  absl::PrintF(
      "connect() to \"found by postern query\", %d times, the command's own start included\n",
      attempts);
  absl::PrintF("  p50  %s  (goal 100 ms)\n  p99  %s  (goal 500 ms)\n", Nanoseconds(found.Median()),
               Nanoseconds(found.Quantile(0.99)));
  absl::PrintF("  one query takes %s\n\n", Nanoseconds(asking.Median()));
  return absl::OkStatus();
}

// Attempts on record for the hammered address.
absl::StatusOr<uint64_t> CountRecorded(const Postern& postern) {
  const support::Finished answer = postern.Ask(
      {"query", "--json", "--since", "-5m", "--to", kHammered, "--group-by", "destination"});
  uint64_t count = 0;
  for (const absl::string_view line : absl::StrSplit(answer.output, '\n', absl::SkipEmpty())) {
    const auto row = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (row.is_object() && row.value("kind", "") == "group") count += row.value("count", 0ull);
  }
  return count;
}

absl::Status MeasureHammering(const Postern& postern) {
  constexpr int kBatch = 1000;
  ASSIGN_OR_RETURN(const uint64_t before, ReadCpuNs(postern.agent_pid()));
  const absl::Time start = absl::Now();
  uint64_t made = 0;
  while (absl::Now() - start < kHammering) {
    RETURN_IF_ERROR(TimeConnects(kWatchedPort, Destination::kSame, kBatch).status());
    made += kBatch;
  }
  const double wall = absl::ToDoubleNanoseconds(absl::Now() - start);
  ASSIGN_OR_RETURN(const uint64_t after, ReadCpuNs(postern.agent_pid()));
  const absl::Time deadline = absl::Now() + kPatience;
  uint64_t recorded = 0;
  do {
    ASSIGN_OR_RETURN(recorded, CountRecorded(postern));
  } while (recorded < made && absl::Now() < deadline);
  absl::PrintF("A process that hammers port %d for %s\n", kWatchedPort,
               absl::FormatDuration(kHammering));
  absl::PrintF("  attempts made      %d\n  attempts on record %d  (goal: every one)\n", made,
               recorded);
  absl::PrintF("  agent, of one core %.1f %%  (goal 10)\n\n",
               100.0 * static_cast<double>(after - before) / wall);
  return absl::OkStatus();
}

}  // namespace

absl::Status MeasureWhole(const Lab& lab, const std::string& bin, int rest_seconds, int attempts) {
  ASSIGN_OR_RETURN(const std::unique_ptr<Postern> postern,
                   Postern::Start(lab, bin, "monitor", /*with_collector=*/true));
  RETURN_IF_ERROR(MeasureRest(*postern, rest_seconds));
  RETURN_IF_ERROR(MeasureLatency(*postern, attempts));
  return MeasureHammering(*postern);
}

}  // namespace postern::bench
