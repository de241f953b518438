// SPDX-License-Identifier: Apache-2.0
// Which database of which ClickHouse server:
// clickhouse://[USER[:PASSWORD]@]HOST[:PORT]/DATABASE, or clickhouses:// for TLS.
#ifndef POSTERN_SERVER_STORE_CLICKHOUSE_SERVER_ADDRESS_H_
#define POSTERN_SERVER_STORE_CLICKHOUSE_SERVER_ADDRESS_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace postern::server::clickhouse {

struct ServerAddress {
  bool tls = false;
  // IPv6 without brackets.
  std::string host;
  // Of the HTTP interface: 8123, with TLS 8443.
  uint16_t port = 8123;
  std::string user = "default";
  std::string password;
  std::string database;

  // For people: without user and password.
  std::string ToString() const;
  // Up to the path.
  std::string Origin() const;
};

bool LooksLikeServerAddress(absl::string_view text);

// User and password may be percent-encoded (RFC 3986, section 2.1). The message of an
// error (kInvalidArgument) says what is wanted and repeats nothing of `text`, which
// may hold a password.
absl::StatusOr<ServerAddress> ParseServerAddress(absl::string_view text);

}  // namespace postern::server::clickhouse

#endif  // POSTERN_SERVER_STORE_CLICKHOUSE_SERVER_ADDRESS_H_
