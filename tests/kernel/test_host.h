// SPDX-License-Identifier: Apache-2.0
// A host of the test's own: this process moves into a network namespace with
// loopback, two addresses that stand for the internet, and listeners on them.
#ifndef POSTERN_TESTS_KERNEL_TEST_HOST_H_
#define POSTERN_TESTS_KERNEL_TEST_HOST_H_

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

namespace postern::testing {

// Not 25: other tests on this machine watch that at the same time.
constexpr uint16_t kWatchedPort = 20025;
constexpr uint16_t kUnwatchedPort = 20026;
// RFC 5737 and RFC 3849: addresses for documentation, routed nowhere.
constexpr char kInternet4[] = "198.51.100.25";
constexpr char kInternet6[] = "2001:db8::25";

// For the whole of this process; its children inherit it. Never destroyed.
class TestHost {
 public:
  TestHost();
  ~TestHost() = delete;
  TestHost(const TestHost&) = delete;
  TestHost& operator=(const TestHost&) = delete;

  // Open: the network namespace that this process came from, the initial one unless
  // the tests run in a container.
  int network_before() const { return network_before_; }
  // Connections that arrived at the watched port until now. Thread-safe.
  uint64_t arrived() const { return arrived_; }

 private:
  // Accepts and closes, so that no backlog ever fills.
  void Serve();

  int network_before_ = -1;
  std::vector<int> listeners_;
  std::atomic<uint64_t> arrived_ = 0;
  std::thread server_;
};

}  // namespace postern::testing

#endif  // POSTERN_TESTS_KERNEL_TEST_HOST_H_
