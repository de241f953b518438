// SPDX-License-Identifier: Apache-2.0
// What no agent may put into a host's record, whatever it says of its own host: words that
// are the collector's own, and numbers that no clock or counter shows.
//
// A time of 1970, or of next year, is kept as it is: a host whose clock is wrong has
// a record too. Pure functions, safe from any thread.
#ifndef POSTERN_SERVER_INGEST_EVENT_CHECK_H_
#define POSTERN_SERVER_INGEST_EVENT_CHECK_H_

#include <google/protobuf/repeated_field.h>

#include <cstdint>

#include "absl/status/status.h"
#include "postern/v1/event.pb.h"

namespace postern::server {

// InvalidArgument, which says what is wrong with the first that is refused: an event or
// a gap of which proto/postern/v1/event.proto says that the collector tells of it itself;
// a time after the year 2262 or a count of more than 2^40, which what compares and adds
// them cannot hold. Kinds and reasons that this collector does not know pass.
absl::Status CheckEvents(const google::protobuf::RepeatedPtrField<v1::Event>& events);

// Likewise a time in nanoseconds, of the field with that name.
absl::Status CheckTime(const char* field, uint64_t time_ns);

}  // namespace postern::server

#endif  // POSTERN_SERVER_INGEST_EVENT_CHECK_H_
