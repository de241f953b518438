// SPDX-License-Identifier: Apache-2.0
// The kinds of stores that the contract of EventStore is tested with. A test program
// names those that it runs with, and has all of the contract's tests for each.
#ifndef POSTERN_TESTS_UNIT_SERVER_STORE_UNDER_TEST_H_
#define POSTERN_TESTS_UNIT_SERVER_STORE_UNDER_TEST_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <ostream>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/store/event_store.h"

namespace postern::server {

// Where one test's events are, gone with it.
class StoreUnderTest {
 public:
  virtual ~StoreUnderTest() = default;

  // With what was stored there before; one at a time.
  virtual absl::StatusOr<std::unique_ptr<EventStore>> Open(std::function<int64_t()> now,
                                                           absl::Duration retention) = 0;
};

struct StoreKind {
  const char* name;
  std::unique_ptr<StoreUnderTest> (*make)();

  friend void PrintTo(const StoreKind& kind, std::ostream* out) { *out << kind.name; }
};

// Of this test program.
std::vector<StoreKind> StoresUnderTest();

}  // namespace postern::server

#endif  // POSTERN_TESTS_UNIT_SERVER_STORE_UNDER_TEST_H_
