// SPDX-License-Identifier: Apache-2.0
// What a message takes in memory once it is parsed, told by its bytes alone: two bytes
// make an event of hundreds, so that the limit on a message's size is none on its cost.
#ifndef POSTERN_SERVER_INGEST_MESSAGE_COST_H_
#define POSTERN_SERVER_INGEST_MESSAGE_COST_H_

#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/zero_copy_stream.h>

#include <cstddef>

#include "absl/status/status.h"

namespace postern::server {

// InvalidArgument where `bytes` are no message of `type`, or one that takes more than
// `limit` bytes. A message that passes may still be refused by the parser.
absl::Status CheckCost(google::protobuf::io::ZeroCopyInputStream& bytes,
                       const google::protobuf::Descriptor& type, size_t limit);

}  // namespace postern::server

#endif  // POSTERN_SERVER_INGEST_MESSAGE_COST_H_
