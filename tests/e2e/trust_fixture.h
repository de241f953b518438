// SPDX-License-Identifier: Apache-2.0
// The real collector and the real command line, in a folder of the test, spoken to
// over TCP on loopback by whoever the test wants to be.
#ifndef POSTERN_TESTS_E2E_TRUST_FIXTURE_H_
#define POSTERN_TESTS_E2E_TRUST_FIXTURE_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "agent/uplink/line.h"
#include "common/pki/authority.h"
#include "tests/support/certificates.h"
#include "tests/support/process.h"
#include "tests/support/temporary_folder.h"
#include "tests/unit/server/collector_fixture.h"

namespace postern {

class TrustFixture : public testing::Test {
 protected:
  TrustFixture();
  ~TrustFixture() override;

  // The configuration's lines on who may come in; without any: Postern's CA.
  void StartCollector(const std::string& more = "");
  // `postern pki init`, for 127.0.0.1.
  void MakeCa();

  support::Finished Run(const std::string& binary, std::vector<std::string> arguments) const;
  support::Finished Postern(std::vector<std::string> arguments) const {
    return Run("postern", std::move(arguments));
  }
  // `postern pki COMMAND…` of this CA.
  support::Finished Pki(std::vector<std::string> arguments) const;
  // `postern COMMAND…` over TLS.
  support::Finished Ask(const tls::Files& files, std::vector<std::string> arguments) const;
  // The hosts that the collector knows, by its unix socket.
  std::vector<std::string> KnownHosts() const;

  // A certificate of Postern's CA for an agent, as if it had been issued `when` from now.
  tls::Files Agent(const std::string& host, absl::Duration when = absl::ZeroDuration(),
                   absl::Duration valid = absl::Hours(1)) const;
  // `postern pki operator`.
  tls::Files Operator(const std::string& name, const std::vector<std::string>& hosts = {}) const;

  uplink::Line Dial(const tls::Files& files) const;
  // Why there is no connection; "" where there is one.
  std::string Refusal(const tls::Files& files) const;
  // A stream over a connection of its own, kept as long as the test.
  server::AgentStream& Stream(const tls::Files& files);
  // Whether an agent of that host can write.
  bool CanWrite(const tls::Files& files, const std::string& host);
  // A plain connection, from an address of its own where one is named.
  UniqueFd Connect(const std::string& from = "127.0.0.1") const;
  // Whether the collector says that in its log, soon.
  bool Says(const std::string& text) const;

  std::string address() const { return "127.0.0.1:" + port_; }

  TemporaryFolder folder_;
  std::string pki_ = folder_ / "pki";
  std::string pin_;
  std::string port_;
  std::unique_ptr<support::Process> collector_;

 private:
  struct Opened {
    uplink::Line line;
    std::unique_ptr<server::AgentStream> stream;
  };
  std::vector<std::unique_ptr<Opened>> streams_;
  uint64_t next_epoch_ = 1;
};

}  // namespace postern

#endif  // POSTERN_TESTS_E2E_TRUST_FIXTURE_H_
