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
// answered a SYN. Opened before any sensor, or it would be an event itself.
class AnswerWatch {
 public:
  AnswerWatch();

  // Of those that came since it was last asked.
  bool Answered(std::chrono::milliseconds patience);

 private:
  std::vector<UniqueFd> sockets_;
};

class RawTest : public KernelTest {
 protected:
  // The command line of the attack program `raw`.
  static std::vector<std::string> Line(std::vector<std::string> words,
                                       const std::string& to = kInternet4);
  // What came of it: its last report.
  static Report Send(std::vector<std::string> words, const std::string& to = kInternet4) {
    return RunToEnd(Line(std::move(words), to)).back();
  }

  bool Answered() { return answers_.Answered(std::chrono::seconds(20)); }
  // Of attacks that have ended: what they sent over loopback is there, or never will be.
  bool AnsweredUntilNow() { return answers_.Answered(std::chrono::milliseconds(0)); }

  void MonitorRaw(policy::RawSockets raw) {
    config_.raw_sockets = raw;
    Monitor({AllowAll()});
  }
  void EnforceRaw(policy::RawSockets raw) {
    config_.raw_sockets = raw;
    Enforce({AllowAll()});
  }

  bool IsAttached(const std::string& hook) const;

 private:
  AnswerWatch answers_;
};

}  // namespace postern::testing

#endif  // POSTERN_TESTS_KERNEL_RAW_TEST_H_
