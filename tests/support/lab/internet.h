// SPDX-License-Identifier: Apache-2.0
// A network namespace at the end of a veth pair, with mail servers on 25, 465
// and 587 over IPv4 and IPv6 (smtp-sink). What is in it cannot be reached from,
// and does not reach, any real network.
#ifndef POSTERN_TESTS_SUPPORT_LAB_INTERNET_H_
#define POSTERN_TESTS_SUPPORT_LAB_INTERNET_H_

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/process.h"

namespace postern::lab {

using support::Process;

class Internet {
 public:
  // `root`: a folder for what arrives.
  explicit Internet(const std::string& root);
  ~Internet();
  Internet(const Internet&) = delete;
  Internet& operator=(const Internet&) = delete;

  // The mail servers', and this host's own on the same wire.
  const std::string& v4() const { return v4_; }
  const std::string& v6() const { return v6_; }
  const std::string& own_v4() const { return own_v4_; }
  const std::string& own_v6() const { return own_v6_; }

  // Mails that arrived, whole, with `token` in them.
  size_t Received(const std::string& token) const;

  // The wire between, as seen from this host.
  const std::string& link() const { return link_; }
  void SetLink(bool up);
  // A socket in there that listens on a TCP port, over IPv4.
  UniqueFd Listen(int port) const;

  static std::string NamespaceName(pid_t owner);

 private:
  std::string root_;
  std::string namespace_;
  std::string link_;
  std::string v4_, v6_, own_v4_, own_v6_;
  std::vector<std::unique_ptr<Process>> sinks_;
};

}  // namespace postern::lab

#endif  // POSTERN_TESTS_SUPPORT_LAB_INTERNET_H_
