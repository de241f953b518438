// SPDX-License-Identifier: Apache-2.0
// Events as JSON lines on this host: what an administrator reads with tail and
// jq. Written after the spool has them; what fails here is lost here only.
//
// Owned by one thread.
#ifndef POSTERN_AGENT_EVENTLOG_EVENT_LOG_H_
#define POSTERN_AGENT_EVENTLOG_EVENT_LOG_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "postern/v1/event.pb.h"

namespace postern::eventlog {

class EventLog {
 public:
  // "stderr", "journal", "none", or the path of a file: made 0640, appended to.
  static absl::StatusOr<std::unique_ptr<EventLog>> Create(const std::string& target);
  // The same, but a file is opened by the first Write() that can, or by Reopen().
  static std::unique_ptr<EventLog> Unopened(const std::string& target);
  virtual ~EventLog() = default;

  virtual absl::Status Write(const v1::Event& event) = 0;
  // Opens the file anew, after logrotate has moved it. On error the old one stays
  // in use.
  virtual absl::Status Reopen() { return absl::OkStatus(); }
};

}  // namespace postern::eventlog

#endif  // POSTERN_AGENT_EVENTLOG_EVENT_LOG_H_
