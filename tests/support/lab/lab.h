// SPDX-License-Identifier: Apache-2.0
// The fixture of all end-to-end tests: a host with an internet of its own, a
// real Postfix, a real PHP-FPM, Postern, and the programs that attack it.
//
// Everything is of this test alone and goes with it; what a run that was killed
// left behind, the next one removes. Hooks reach the whole machine, so only one
// lab runs at a time (a lock), and tests choose events by pid or user.
#ifndef POSTERN_TESTS_SUPPORT_LAB_LAB_H_
#define POSTERN_TESTS_SUPPORT_LAB_LAB_H_

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/lab/files.h"
#include "tests/support/lab/internet.h"
#include "tests/support/lab/php_fpm.h"
#include "tests/support/lab/postern.h"
#include "tests/support/lab/postfix.h"
#include "tests/support/process.h"

namespace postern::lab {

using support::Eventually;
using support::kPatience;
using support::Process;

// One line of an attack program (tests/support/attacks/attack.h).
struct Attempt {
  int64_t pid = -1;
  std::string result;  // errno of connect by name, OK for none
  std::map<std::string, std::string> fields;
};
std::vector<Attempt> ParseAttempts(const std::string& output);

uid_t UidOf(const std::string& user);

class Lab : public testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  // A folder that root owns alone, readable by all.
  const std::string& root() const { return root_; }
  Internet& internet() { return *internet_; }
  Postern& postern() { return *postern_; }
  const Postern& postern() const { return *postern_; }
  Postfix& postfix() { return *postfix_; }
  PhpFpm& php() { return *php_; }

  // Collector, then agent with rules `postfix` and `local`, or with `rules`.
  void StartPostern(const std::string& mode, const std::string& rules = "");
  // `services`: further lines of its master.cf.
  void StartPostfix(const std::string& services = "");
  void StartPhp();
  // From now on Postfix and the policy use a copy of its programs, which a test may change.
  void UseCopyOfPostfix();
  const std::string& postfix_daemons() const { return daemons_; }
  std::string smtp() const { return daemons_ + "/smtp"; }

  // Path of an attack program, which any user may read and run.
  std::string Program(const std::string& name) const { return root_ + "/attacks/" + name; }
  std::unique_ptr<Process> Start(const std::vector<std::string>& command,
                                 const Process::Options& options = {});
  // Runs it to its end and returns its attempts.
  std::vector<Attempt> Attack(const std::vector<std::string>& command,
                              const Process::Options& options = {});
  // The same of one attempt exactly.
  Attempt AttackOnce(const std::vector<std::string>& command, const Process::Options& options = {});
  // www-data connects to the internet's port 25: what a policy denies.
  Attempt Rogue();
  // One denied and one allowed connect are found: all that came before them is too.
  void Fence();

 private:
  void TakeLock();

  UniqueFd lock_;
  std::string root_;
  std::string daemons_ = "/usr/lib/postfix/sbin";
  std::unique_ptr<Internet> internet_;
  std::unique_ptr<Postern> postern_;
  std::unique_ptr<Postfix> postfix_;
  std::unique_ptr<PhpFpm> php_;
};

}  // namespace postern::lab

#endif  // POSTERN_TESTS_SUPPORT_LAB_LAB_H_
