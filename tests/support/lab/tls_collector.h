// SPDX-License-Identifier: Apache-2.0
// Has a collector listen over TLS, on TCP, with a CA of its own, as on another host.
#ifndef POSTERN_TESTS_SUPPORT_LAB_TLS_COLLECTOR_H_
#define POSTERN_TESTS_SUPPORT_LAB_TLS_COLLECTOR_H_

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/lab/postern.h"

namespace postern::lab {

class TlsCollector {
 public:
  // Makes the CA in `folder`, and writes to the collector's configuration, before it is
  // started. Certificates live for `lifetime`. Fails the test. `postern` outlives it.
  TlsCollector(Postern& postern, std::string folder, const std::string& lifetime);

  const std::string& address() const { return address_; }
  // What `postern pki WORDS… --json` says.
  nlohmann::json Pki(std::vector<std::string> words) const;
  // The agent, which is configured for address().
  void Enrol() const;

 private:
  Postern& postern_;
  const std::string folder_;
  const std::string address_;
  std::string pin_;
};

}  // namespace postern::lab

#endif  // POSTERN_TESTS_SUPPORT_LAB_TLS_COLLECTOR_H_
