// SPDX-License-Identifier: Apache-2.0
#ifndef POSTERN_TESTS_BENCH_STORE_STOPWATCH_H_
#define POSTERN_TESTS_BENCH_STORE_STOPWATCH_H_

#include <cstdint>
#include <ctime>

namespace postern::bench {

struct Cost {
  double seconds = 0;
  // Of all threads of the process: what others do on the machine does not show.
  double cpu_seconds = 0;

  void Add(const Cost& other) {
    seconds += other.seconds;
    cpu_seconds += other.cpu_seconds;
  }
  void DivideBy(int64_t count) {
    seconds /= static_cast<double>(count);
    cpu_seconds /= static_cast<double>(count);
  }
};

// Runs from its making on.
class Stopwatch {
 public:
  Cost Read() const {
    return {Now(CLOCK_MONOTONIC) - begin_.seconds,
            Now(CLOCK_PROCESS_CPUTIME_ID) - begin_.cpu_seconds};
  }

 private:
  static double Now(clockid_t clock) {
    timespec time = {};
    clock_gettime(clock, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
  }

  const Cost begin_{Now(CLOCK_MONOTONIC), Now(CLOCK_PROCESS_CPUTIME_ID)};
};

}  // namespace postern::bench

#endif  // POSTERN_TESTS_BENCH_STORE_STOPWATCH_H_
