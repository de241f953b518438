// SPDX-License-Identifier: Apache-2.0
// What a connect() is measured under. Each is put up and taken down again in
// every round, so that all share the machine's good and bad moments.
#ifndef POSTERN_TESTS_BENCH_VARIANTS_H_
#define POSTERN_TESTS_BENCH_VARIANTS_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "tests/bench/lab.h"

namespace postern::bench {

class Variant {
 public:
  explicit Variant(std::string name) : name_(std::move(name)) {}
  virtual ~Variant() = default;

  // An error says why this machine cannot have it: then it is skipped.
  virtual absl::Status Up() = 0;
  // Undoes what Up() did, also where it failed half-way.
  virtual void Down() = 0;

  // Ids of the BPF programs it brings, while it is up.
  virtual std::vector<uint32_t> Programs() const { return {}; }
  // Concerns only processes started after Up().
  virtual bool needs_new_process() const { return false; }
  // fork, exec and exit are measured under it too.
  virtual bool tracks_processes() const { return false; }

  const std::string& name() const { return name_; }

 private:
  const std::string name_;
};

std::unique_ptr<Variant> MakeNothing();
std::unique_ptr<Variant> MakeNftRule();
std::unique_ptr<Variant> MakeIptablesRule();
std::unique_ptr<Variant> MakeEmptyProgram(const Lab& lab);
std::unique_ptr<Variant> MakeAuditRule(const Lab& lab);
// `mode`: monitor or enforce. `bin`: where posternd and postern are.
std::unique_ptr<Variant> MakePostern(const Lab& lab, const std::string& bin,
                                     absl::string_view mode);

}  // namespace postern::bench

#endif  // POSTERN_TESTS_BENCH_VARIANTS_H_
