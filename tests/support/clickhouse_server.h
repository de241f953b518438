// SPDX-License-Identifier: Apache-2.0
// A real ClickHouse server on loopback, with a folder, a configuration and ports of its
// own, and little memory. No GoogleTest: benches use it too.
#ifndef POSTERN_TESTS_SUPPORT_CLICKHOUSE_SERVER_H_
#define POSTERN_TESTS_SUPPORT_CLICKHOUSE_SERVER_H_

#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tests/support/process.h"

namespace postern::support {

class ClickHouseServer {
 public:
  // Below `folder`, which goes with it. User "postern" has password "pass word's".
  static absl::StatusOr<std::unique_ptr<ClickHouseServer>> Start(const std::string& folder);
  ~ClickHouseServer();
  ClickHouseServer(const ClickHouseServer&) = delete;
  ClickHouseServer& operator=(const ClickHouseServer&) = delete;

  // What a collector's `store` says.
  std::string Url(const std::string& database) const;
  const std::string& http_port() const { return http_port_; }
  const std::string& tcp_port() const { return tcp_port_; }

  // As a power cut for the server alone: SIGKILL.
  void Kill();
  void Stop();
  // With the same data on the same ports.
  absl::Status StartAgain();
  void Signal(int signal) const { process_->Signal(signal); }

  // What the server prints to a statement, by its own client; "" where it fails.
  std::string Ask(const std::string& statement, const std::string& database = "default") const;

 private:
  explicit ClickHouseServer(std::string folder) : folder_(std::move(folder)) {}

  absl::Status WriteConfiguration();

  const std::string folder_;
  std::string http_port_;
  std::string tcp_port_;
  std::unique_ptr<Process> process_;
};

}  // namespace postern::support

#endif  // POSTERN_TESTS_SUPPORT_CLICKHOUSE_SERVER_H_
