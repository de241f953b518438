// SPDX-License-Identifier: Apache-2.0
// What SQLite takes for the rows alone: one file with the store's table of events and
// its indexes, one prepared statement, values made before the clock runs.
#ifndef POSTERN_TESTS_BENCH_STORE_BARE_LOOP_H_
#define POSTERN_TESTS_BENCH_STORE_BARE_LOOP_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "server/store/sqlite.h"
#include "tests/bench/store/attempts.h"
#include "tests/bench/store/stopwatch.h"

namespace postern::bench {

class BareLoop {
 public:
  // Will be given the events of `all`.
  static absl::StatusOr<std::unique_ptr<BareLoop>> Create(const std::string& file, int64_t all);

  // What it took to insert the next `events`, in transactions of 10,000, synced as
  // the store does.
  absl::StatusOr<Cost> Insert(int64_t events);

 private:
  BareLoop(std::unique_ptr<server::Database> database, server::Statement insert, int64_t all)
      : database_(std::move(database)), insert_(std::move(insert)), attempts_(all) {}

  std::unique_ptr<server::Database> database_;
  server::Statement insert_;
  Attempts attempts_;
  absl::flat_hash_map<std::string, int64_t> traits_;
};

}  // namespace postern::bench

#endif  // POSTERN_TESTS_BENCH_STORE_BARE_LOOP_H_
