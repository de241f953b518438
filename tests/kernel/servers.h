// SPDX-License-Identifier: Apache-2.0
// Listeners in the network namespace that the tests came from: the internet's
// addresses, which loopback has there meanwhile, and this host's own mail server.
#ifndef POSTERN_TESTS_KERNEL_SERVERS_H_
#define POSTERN_TESTS_KERNEL_SERVERS_H_

#include <map>
#include <string>

#include "common/unique_fd.h"

namespace postern::testing {

class Servers {
 public:
  // `network`: an open namespace. Fails the test where something cannot be had.
  explicit Servers(int network);
  // The addresses go again.
  ~Servers();
  Servers(const Servers&) = delete;
  Servers& operator=(const Servers&) = delete;

  // Waits for the next connection and closes it; the address it came to, "" for none.
  std::string Accept();

 private:
  int network_;
  std::map<std::string, UniqueFd> listeners_;
};

}  // namespace postern::testing

#endif  // POSTERN_TESTS_KERNEL_SERVERS_H_
