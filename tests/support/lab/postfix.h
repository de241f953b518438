// SPDX-License-Identifier: Apache-2.0
// A Postfix of its own: configuration, queue and data in a folder of the test,
// laid out and chrooted as Debian has it. It relays everything to the lab's
// internet. The host's own Postfix is not touched.
#ifndef POSTERN_TESTS_SUPPORT_LAB_POSTFIX_H_
#define POSTERN_TESTS_SUPPORT_LAB_POSTFIX_H_

#include <memory>
#include <string>
#include <vector>

#include "tests/support/lab/files.h"
#include "tests/support/lab/internet.h"
#include "tests/support/process.h"

namespace postern::lab {

using support::Process;

class Postfix {
 public:
  // `daemons`: /usr/lib/postfix/sbin, or a copy of it that belongs to root.
  // `services`: further lines of master.cf.
  Postfix(const std::string& root, const Internet& internet, const std::string& daemons,
          const std::string& services = "");
  ~Postfix();
  Postfix(const Postfix&) = delete;
  Postfix& operator=(const Postfix&) = delete;

  // Stops the master that a run which was killed left in `root`, if there is one.
  static void StopLeftover(const std::string& root);

  // Hands a mail with `token` in it to sendmail(1).
  void Send(const std::string& token);
  // postfix(1): "reload", "flush", ….
  void Command(const std::string& command);
  // Asks smtpd whether `recipient` can be delivered to, which makes smtp(8)
  // probe the next hop without a mail; returns smtpd's reply.
  std::string ProbeRecipient(const std::string& recipient);

  std::string smtp() const { return daemons_ + "/smtp"; }
  pid_t master() const { return master_; }
  // smtp(8) processes that run now.
  std::vector<pid_t> Senders() const;
  std::string Log() const { return ReadFile(log_); }
  // Where it takes submissions (587, all of them relayed): loopback, and this host's own address.
  const std::string& loopback() const { return loopback_; }

 private:
  std::string root_;
  std::string daemons_;
  std::string log_;
  std::string loopback_;
  std::unique_ptr<Process> script_;  // postfix start-fg, of which master is a child
  pid_t master_ = -1;
};

}  // namespace postern::lab

#endif  // POSTERN_TESTS_SUPPORT_LAB_POSTFIX_H_
