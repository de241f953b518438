// SPDX-License-Identifier: Apache-2.0
// Which hosts somebody who asks may read of.
#ifndef POSTERN_SERVER_QUERY_READER_H_
#define POSTERN_SERVER_QUERY_READER_H_

#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/store/event_filter.h"
#include "server/store/event_store.h"
#include "server/trust/bearer.h"

namespace postern::server {

class Reader {
 public:
  // Of all hosts.
  Reader() = default;
  // PermissionDenied for null and for who is no operator.
  static absl::StatusOr<Reader> Of(std::shared_ptr<const Bearer> bearer);

  bool MayRead(const std::string& host) const;
  // Leaves of the filter what may be read. PermissionDenied where it names another
  // host, or where the store knows none that may be read.
  absl::Status Restrict(EventStore& store, EventFilter& filter) const;

 private:
  explicit Reader(std::shared_ptr<const Bearer> bearer) : bearer_(std::move(bearer)) {}

  std::shared_ptr<const Bearer> bearer_;  // null: of all hosts
};

}  // namespace postern::server

#endif  // POSTERN_SERVER_QUERY_READER_H_
