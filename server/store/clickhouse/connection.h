// SPDX-License-Identifier: Apache-2.0
// Speaks to a ClickHouse server over HTTP. https://clickhouse.com/docs/interfaces/http
//
// One thread at a time. A connection that broke is opened anew by the next request.
//
// Errors, each one line that names the server: kUnavailable, it cannot be reached, or
// stopped in the middle; kDeadlineExceeded, it took longer than it may (what was asked
// for may have been done, or may yet be); kPermissionDenied, it knows neither the user
// nor the password, or does not allow it; kResourceExhausted, it lacks memory, room, or
// has too much to do; kOutOfRange, the answer is larger than asked for; kCancelled;
// kInternal, whatever else it says.
#ifndef POSTERN_SERVER_STORE_CLICKHOUSE_CONNECTION_H_
#define POSTERN_SERVER_STORE_CLICKHOUSE_CONNECTION_H_

#include <curl/curl.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/store/clickhouse/server_address.h"

namespace postern::server::clickhouse {

class Connection {
 public:
  struct Options {
    absl::Duration patience = absl::Seconds(30);
    size_t max_answer_bytes = size_t{16} << 20;
    // Looked at about ten times a second.
    std::function<bool()> cancelled = nullptr;
    // "&NAME=VALUE…", of the server's settings.
    std::string settings = {};
    // False before the database is there.
    bool in_database = true;
  };

  static absl::StatusOr<std::unique_ptr<Connection>> Create(const ServerAddress& address);

  // What `sql` answers, whole.
  absl::StatusOr<std::string> Ask(absl::string_view sql, const Options& options);
  absl::StatusOr<std::string> Ask(absl::string_view sql) { return Ask(sql, Options()); }
  absl::Status Run(absl::string_view sql, const Options& options) {
    return Ask(sql, options).status();
  }
  absl::Status Run(absl::string_view sql) { return Run(sql, Options()); }
  // `into` is "TABLE (COLUMN, …)", `rows` its values in RowBinary.
  absl::Status Insert(absl::string_view into, absl::string_view rows, const Options& options);

 private:
  struct Cleanup {
    void operator()(CURL* curl) const { curl_easy_cleanup(curl); }
  };
  struct Lines {
    void operator()(curl_slist* lines) const { curl_slist_free_all(lines); }
  };

  Connection(const ServerAddress& address, std::unique_ptr<CURL, Cleanup> curl,
             std::unique_ptr<curl_slist, Lines> head);

  absl::StatusOr<std::string> Post(absl::string_view query, absl::string_view body,
                                   const Options& options);
  std::string Escaped(absl::string_view text) const;

  const std::string name_;
  const std::string origin_;
  const std::string database_;
  std::unique_ptr<CURL, Cleanup> curl_;
  std::unique_ptr<curl_slist, Lines> head_;
};

}  // namespace postern::server::clickhouse

#endif  // POSTERN_SERVER_STORE_CLICKHOUSE_CONNECTION_H_
