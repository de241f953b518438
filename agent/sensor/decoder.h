// SPDX-License-Identifier: Apache-2.0
// From the bytes of a ring record to an Event. The one place where text from
// the kernel, all of it hostile, becomes valid printable UTF-8.
#ifndef POSTERN_AGENT_SENSOR_DECODER_H_
#define POSTERN_AGENT_SENSOR_DECODER_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "postern/v1/event.pb.h"

namespace postern::sensor {

struct DecodedRecord {
  // Without what only user space knows: host, agent, boot, rule, user, unit, …
  v1::Event event;
  uint16_t rule = 0;  // index, or POSTERN_RULE_DEFAULT
  // Repeats only: `event` has count, times, verdict, generation, and uid, pid,
  // destination and port as far as they were kept; the rest is that of the event
  // with this seq (0: none).
  bool is_repeats = false;
  uint64_t first_seq = 0;
};

// InvalidArgument: not a record. Unimplemented: of a newer version, or of a kind
// that this agent does not know.
absl::StatusOr<DecodedRecord> Decode(absl::Span<const std::byte> bytes,
                                     int64_t boot_to_wall_offset_ns);

// Valid printable UTF-8 for any bytes: others, and control characters, as \xNN,
// a backslash as \\.
std::string PrintableText(absl::string_view bytes);

}  // namespace postern::sensor

#endif  // POSTERN_AGENT_SENSOR_DECODER_H_
