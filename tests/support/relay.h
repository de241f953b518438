// SPDX-License-Identifier: Apache-2.0
// A network in the place of none: passes on what one side says to the other, until
// it is frozen (as a cable that is pulled, nobody is told) or cut (both are).
// No GoogleTest: daemons of tests use it too.
#ifndef POSTERN_TESTS_SUPPORT_RELAY_H_
#define POSTERN_TESTS_SUPPORT_RELAY_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <thread>

#include "common/unique_fd.h"

namespace postern::support {

// Of a stream. Not valid where it fails.
UniqueFd ListenOnUnix(const std::string& path);
UniqueFd ConnectToUnix(const std::string& path);

class Relay {
 public:
  // For each connection to `listening`, another by `connect`; where that fails, the
  // first is closed.
  Relay(UniqueFd listening, std::function<UniqueFd()> connect);
  ~Relay();
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  // From any thread.
  void Freeze(bool frozen);
  // Closes all that is connected now. New connections are taken.
  void Cut();
  // Bytes that were passed on, both ways.
  uint64_t passed() const { return passed_; }

 private:
  void Run();
  void Wake() const;

  const UniqueFd listening_;
  const std::function<UniqueFd()> connect_;
  const UniqueFd wake_;  // eventfd(2)
  std::atomic<bool> stop_ = false;
  std::atomic<bool> frozen_ = false;
  std::atomic<bool> cut_ = false;
  std::atomic<uint64_t> passed_ = 0;
  std::thread thread_;
};

}  // namespace postern::support

#endif  // POSTERN_TESTS_SUPPORT_RELAY_H_
