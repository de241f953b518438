// SPDX-License-Identifier: Apache-2.0
// A collector that answers what a test tells it to, over gRPC on a real socket.
#ifndef POSTERN_TESTS_UNIT_CLI_FAKE_COLLECTOR_H_
#define POSTERN_TESTS_UNIT_CLI_FAKE_COLLECTOR_H_

#include <memory>
#include <string>
#include <vector>

#include "postern/v1/query.pb.h"

namespace postern::cli {

// Set the answers before the call that asks for them.
class FakeCollector {
 public:
  // `address`: unix:PATH.
  explicit FakeCollector(const std::string& address);
  ~FakeCollector();

  std::vector<v1::Event> events;
  // Instead of those where POLICY alone is asked for.
  std::vector<v1::Event> policies;
  std::vector<v1::Group> groups;
  v1::Completeness completeness;
  v1::HostsResponse hosts;
  // The answer ends without a Completeness.
  bool breaks_off = false;
  // Where not empty, every call fails with it as INTERNAL, after its rows.
  std::string failure;

  v1::FindRequest found;  // other than for POLICY alone
  v1::GroupRequest grouped;

 private:
  class Server;
  const std::unique_ptr<Server> server_;
};

}  // namespace postern::cli

#endif  // POSTERN_TESTS_UNIT_CLI_FAKE_COLLECTOR_H_
