// SPDX-License-Identifier: Apache-2.0
// Questions as they come over the wire, checked and put into the store's terms.
#ifndef POSTERN_SERVER_QUERY_FILTER_H_
#define POSTERN_SERVER_QUERY_FILTER_H_

#include <vector>

#include "absl/status/statusor.h"
#include "postern/v1/query.pb.h"
#include "server/store/event_filter.h"

namespace postern::server {

// Values that one filter may list, all its fields together.
inline constexpr int kMaxFilterValues = 256;

// kInvalidArgument with one line that names the field and the value.
absl::StatusOr<EventFilter> FilterOf(const v1::Filter& filter);

// Names as JSON has them; at least one, each once.
absl::StatusOr<std::vector<GroupField>> GroupFieldsOf(const v1::GroupRequest& request);

}  // namespace postern::server

#endif  // POSTERN_SERVER_QUERY_FILTER_H_
