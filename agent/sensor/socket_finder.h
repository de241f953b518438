// SPDX-License-Identifier: Apache-2.0
// Sockets that no hook was asked for, by the open files of those who hold them.
#ifndef POSTERN_AGENT_SENSOR_SOCKET_FINDER_H_
#define POSTERN_AGENT_SENSOR_SOCKET_FINDER_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/sensor/program_set.h"

namespace postern::sensor {

class SocketFinder {
 public:
  // `programs` outlives it.
  explicit SocketFinder(const ProgramSet& programs) : programs_(programs) {}

  // See Sensor::LookForSockets(). Each walk goes over every open file of the host.
  absl::StatusOr<std::vector<std::string>> Look() const;

 private:
  absl::StatusOr<std::vector<std::string>> FindEarlierConnections() const;
  // The number of this look, in the table of known sockets.
  absl::StatusOr<uint32_t> BeginLook() const;
  absl::Status ForgetClosed(uint32_t look) const;
  bool Has(const char* program) const { return programs_.WhyMissing(program).empty(); }

  const ProgramSet& programs_;
};

}  // namespace postern::sensor

#endif  // POSTERN_AGENT_SENSOR_SOCKET_FINDER_H_
