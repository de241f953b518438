// SPDX-License-Identifier: Apache-2.0
// For attacks that send a SYN of their own making, past connect().
#ifndef POSTERN_TESTS_KERNEL_RAW_TEST_H_
#define POSTERN_TESTS_KERNEL_RAW_TEST_H_

#include <chrono>
#include <string>
#include <vector>

#include "common/unique_fd.h"
#include "tests/kernel/kernel_test.h"

namespace postern::testing {

// Sees every segment that comes in, and so whether the server on the watched port
// answered a SYN.
class AnswerWatch {
 public:
  // First asked for before any sensor, or it would be an event itself.
  static AnswerWatch& Get();

  // Of those that came since it was last asked.
  bool Answered(std::chrono::milliseconds patience);
  // Of those that came until now; what attacks sent over loopback that have ended has.
  bool AnsweredUntilNow() { return Answered(std::chrono::milliseconds(0)); }

 private:
  AnswerWatch();

  std::vector<UniqueFd> sockets_;
};

class RawTest : public KernelTest {
 protected:
  explicit RawTest(SensorOf sensor_of = SensorOf::kSuite) : KernelTest(sensor_of) {
    AnsweredUntilNow();  // by tests before this one
  }

  // The command line of the attack program `raw`.
  static std::vector<std::string> Line(std::vector<std::string> words,
                                       const std::string& to = kInternet4);
  // What came of it: its last report.
  static Report Send(std::vector<std::string> words, const std::string& to = kInternet4) {
    return RunToEnd(Line(std::move(words), to)).back();
  }

  static bool Answered() { return AnswerWatch::Get().Answered(std::chrono::seconds(20)); }
  static bool AnsweredUntilNow() { return AnswerWatch::Get().AnsweredUntilNow(); }

  void MonitorRaw(policy::RawSockets raw) {
    config_.raw_sockets = raw;
    Monitor({AllowAll()});
  }
  void EnforceRaw(policy::RawSockets raw) {
    config_.raw_sockets = raw;
    Enforce({AllowAll()});
  }

  bool IsAttached(const std::string& hook) const;
};

}  // namespace postern::testing

#endif  // POSTERN_TESTS_KERNEL_RAW_TEST_H_
