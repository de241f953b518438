// SPDX-License-Identifier: Apache-2.0
// The real posternd, and if wanted postern-collector, with all they own in the
// lab's folder and pins in a folder of their own.
#ifndef POSTERN_TESTS_BENCH_POSTERN_H_
#define POSTERN_TESTS_BENCH_POSTERN_H_

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "tests/bench/command.h"
#include "tests/bench/lab.h"
#include "tests/support/process.h"

namespace postern::bench {

class Postern {
 public:
  // Returns once its hooks judge. The policy lets root's connects pass by its
  // second rule, after one on exe and started_as that does not match; or it is `rules`,
  // as they stand under `rules:`.
  static absl::StatusOr<std::unique_ptr<Postern>> Start(const Lab& lab, const std::string& bin,
                                                        absl::string_view mode, bool with_collector,
                                                        const std::string& rules = "");
  // Stops both and takes the pins down.
  ~Postern();
  Postern(const Postern&) = delete;
  Postern& operator=(const Postern&) = delete;

  pid_t agent_pid() const { return agent_->pid(); }
  // Where it was started with one.
  pid_t collector_pid() const { return collector_->pid(); }
  std::vector<uint32_t> Programs() const;

  // Runs `postern` with these arguments against this agent or collector.
  support::Finished Ask(Arguments arguments) const;

 private:
  Postern(const Lab& lab, std::string bin) : lab_(lab), bin_(std::move(bin)) {}

  absl::Status StartCollector();
  absl::Status StartAgent(absl::string_view mode, bool with_collector, const std::string& rules);

  const Lab& lab_;
  const std::string bin_;
  std::unique_ptr<support::Process> collector_;
  std::unique_ptr<support::Process> agent_;
};

}  // namespace postern::bench

#endif  // POSTERN_TESTS_BENCH_POSTERN_H_
