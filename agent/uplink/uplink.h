// SPDX-License-Identifier: Apache-2.0
// Brings what is in the spool to a collector. docs/wire.md.
//
// One thread of its own does all of it: gRPC by its completion queue, and the
// disk. A collector that cannot be reached is a state, not an error.
#ifndef POSTERN_AGENT_UPLINK_UPLINK_H_
#define POSTERN_AGENT_UPLINK_UPLINK_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "agent/spool/spool.h"
#include "common/boot_clock.h"
#include "common/tls/context.h"
#include "postern/v1/ingest.pb.h"

namespace postern::uplink {

struct Options {
  // Tried in turn; "unix:PATH" or "HOST:PORT". Not empty.
  std::vector<std::string> addresses;
  // For "HOST:PORT"; read anew for each connection.
  tls::Files tls;
  std::string host;
  std::string agent;
  std::string boot;
  std::string version;
  // Called on the uplink's thread.
  std::function<v1::AgentState()> state;

  int batch_events = 1000;
  size_t batch_bytes = 1 << 20;
  // While others are on their way a batch waits this long to grow.
  absl::Duration batch_age = absl::Milliseconds(20);
  // Batches that were sent and are not acknowledged.
  size_t window = 4;
  // A collector at a unix socket is on another host, behind a tunnel: batches for it are
  // packed, and its clock is another one than this host's.
  bool unix_is_remote = false;
  absl::Duration heartbeat = absl::Seconds(60);
  // Without an answer for so long the connection is given up.
  absl::Duration patience = absl::Seconds(30);
  // A connection over which nothing has come for so long is asked whether it lives,
  // and is given up where it does not say so in time: nothing else would tell of a
  // network that was cut while there was nothing to send.
  absl::Duration keepalive = absl::Seconds(30);
  absl::Duration keepalive_timeout = absl::Seconds(10);
  // For a last word at the end.
  absl::Duration farewell = absl::Milliseconds(500);
  // Refused for so long because another stream uses our epochs: we are a clone,
  // and go on under new ones. An old connection of our own is gone sooner: the
  // collector asks it, too, whether it lives (server/ingest/ingest_service.h).
  absl::Duration clone_after = absl::Seconds(60);
  absl::Duration first_retry = absl::Milliseconds(250);
  absl::Duration last_retry = absl::Seconds(30);
};

// This host's clock beside a collector's, as its answer arrived: `ahead` holds what the
// answer took on its way, too.
struct ClockCheck {
  int64_t boot_ns = 0;  // when that was, since boot
  absl::Duration ahead;

  bool Agrees() const { return absl::AbsDuration(ahead) < absl::Nanoseconds(kClocksAgreeNs); }
};

// As CollectorLink in control.proto.
struct Link {
  bool connected = false;  // the collector has said welcome
  std::string address;     // of the connection, or of the last attempt
  std::string error;       // why not connected, in one line
  // By the wall clock as it is now.
  std::optional<int64_t> last_acknowledged_ns;
};

class Uplink {
 public:
  // Refuses (InvalidArgument) an address it cannot speak to. `spool` outlives it.
  static absl::StatusOr<std::unique_ptr<Uplink>> Create(Options options, spool::Spool* spool);
  virtual ~Uplink() = default;  // stops

  // There is more in the spool. From any thread.
  virtual void Notify() = 0;
  // The agent's state has changed: the collector hears it now. From any thread.
  virtual void NotifyState() = 0;
  // From any thread.
  virtual Link link() const = 0;
  // With a collector on another host; none yet: none has told its time. From any thread.
  virtual std::optional<ClockCheck> last_clock_check() const = 0;
};

}  // namespace postern::uplink

#endif  // POSTERN_AGENT_UPLINK_UPLINK_H_
