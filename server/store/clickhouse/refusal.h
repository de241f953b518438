// SPDX-License-Identifier: Apache-2.0
#ifndef POSTERN_SERVER_STORE_CLICKHOUSE_REFUSAL_H_
#define POSTERN_SERVER_STORE_CLICKHOUSE_REFUSAL_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace postern::server::clickhouse {

// An answer of HTTP that is not 200, as one line: which server (`name`), its reason in its
// own words without what only its developers need, and what to do. The codes are those
// that Connection names.
absl::Status Refusal(absl::string_view name, long http_status, absl::string_view answer);

}  // namespace postern::server::clickhouse

#endif  // POSTERN_SERVER_STORE_CLICKHOUSE_REFUSAL_H_
