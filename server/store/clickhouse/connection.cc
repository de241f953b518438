// SPDX-License-Identifier: Apache-2.0
#include "server/store/clickhouse/connection.h"

#include <mutex>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/store/clickhouse/one_line.h"
#include "server/store/clickhouse/refusal.h"

namespace postern::server::clickhouse {
namespace {

constexpr int64_t kConnectMs = 5'000;

// An answer as it comes in.
struct Answer {
  std::string bytes;
  size_t limit = 0;
  bool too_large = false;
  const std::function<bool()>* cancelled = nullptr;
};

size_t Take(char* data, size_t size, size_t count, void* to) {
  auto& answer = *static_cast<Answer*>(to);
  if (answer.bytes.size() + size * count > answer.limit) {
    answer.too_large = true;
    return 0;
  }
  answer.bytes.append(data, size * count);
  return size * count;
}

int LookWhetherCancelled(void* of, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  const auto& answer = *static_cast<Answer*>(of);
  return *answer.cancelled && (*answer.cancelled)() ? 1 : 0;
}

// Curl's words need not say what to do.
absl::string_view AdviceFor(CURLcode sent) {
  switch (sent) {
    case CURLE_PEER_FAILED_VERIFICATION:
      return "its certificate has to be of a CA that this machine trusts";
    case CURLE_COULDNT_RESOLVE_HOST:
      return "check the name in the collector's store";
    default:
      return "is the server running, and can this machine reach its HTTP port?";
  }
}

// Whether a request failed on a connection that an earlier one had left open.
bool WasDead(CURL* curl, CURLcode sent) {
  if (sent != CURLE_SEND_ERROR && sent != CURLE_RECV_ERROR && sent != CURLE_GOT_NOTHING) {
    return false;
  }
  long connections = 1;
  curl_easy_getinfo(curl, CURLINFO_NUM_CONNECTS, &connections);
  return connections == 0;
}

// Once in a process, before its first handle; curl has no other way.
CURLcode PrepareCurl() {
  static std::once_flag once;
  static CURLcode prepared = CURLE_FAILED_INIT;
  std::call_once(once, [] { prepared = curl_global_init(CURL_GLOBAL_DEFAULT); });
  return prepared;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Connection>> Connection::Create(const ServerAddress& address) {
  if (PrepareCurl() != CURLE_OK) return absl::InternalError("libcurl cannot be prepared");
  std::unique_ptr<CURL, Cleanup> curl(curl_easy_init());
  std::unique_ptr<curl_slist, Lines> head;
  // Not in the URL: servers log those. And without "Expect: 100-continue", which costs
  // a round.
  for (const std::string& line :
       {absl::StrCat("X-ClickHouse-User: ", address.user),
        absl::StrCat("X-ClickHouse-Key: ", address.password), std::string("Expect:")}) {
    // An empty value is written with a semicolon.
    const bool empty = absl::EndsWith(line, ": ");
    const std::string written = empty ? absl::StrCat(line.substr(0, line.size() - 2), ";") : line;
    curl_slist* longer = curl_slist_append(head.get(), written.c_str());
    if (longer == nullptr) return absl::ResourceExhaustedError("no memory for a connection");
    if (head == nullptr) head.reset(longer);
  }
  if (curl == nullptr) return absl::ResourceExhaustedError("no memory for a connection");
  return std::unique_ptr<Connection>(new Connection(address, std::move(curl), std::move(head)));
}

Connection::Connection(const ServerAddress& address, std::unique_ptr<CURL, Cleanup> curl,
                       std::unique_ptr<curl_slist, Lines> head)
    : name_(address.ToString()),
      origin_(address.Origin()),
      database_(address.database),
      curl_(std::move(curl)),
      head_(std::move(head)) {
  CURL* const to = curl_.get();
  curl_easy_setopt(to, CURLOPT_NOSIGNAL, 1L);
  // A proxy of the environment is not for this.
  curl_easy_setopt(to, CURLOPT_PROXY, "");
  curl_easy_setopt(to, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(to, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2);
  curl_easy_setopt(to, CURLOPT_HTTPHEADER, head_.get());
  curl_easy_setopt(to, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(kConnectMs));
  curl_easy_setopt(to, CURLOPT_TCP_KEEPALIVE, 1L);
  curl_easy_setopt(to, CURLOPT_POST, 1L);
  curl_easy_setopt(to, CURLOPT_WRITEFUNCTION, &Take);
  curl_easy_setopt(to, CURLOPT_XFERINFOFUNCTION, &LookWhetherCancelled);
  curl_easy_setopt(to, CURLOPT_NOPROGRESS, 0L);
}

std::string Connection::Escaped(absl::string_view text) const {
  char* escaped = curl_easy_escape(curl_.get(), text.data(), static_cast<int>(text.size()));
  std::string copy = escaped == nullptr ? "" : escaped;
  curl_free(escaped);
  return copy;
}

absl::StatusOr<std::string> Connection::Ask(absl::string_view sql, const Options& options) {
  return Post("", sql, options);
}

absl::Status Connection::Insert(absl::string_view into, absl::string_view rows,
                                const Options& options) {
  return Post(absl::StrCat("INSERT INTO ", into, " FORMAT RowBinary"), rows, options).status();
}

absl::StatusOr<std::string> Connection::Post(absl::string_view query, absl::string_view body,
                                             const Options& options) {
  // The answer comes when it is whole, so that the code of HTTP tells of every failure.
  std::string url = absl::StrCat(origin_, "/?wait_end_of_query=1", options.settings);
  if (options.in_database) absl::StrAppend(&url, "&database=", Escaped(database_));
  if (!query.empty()) absl::StrAppend(&url, "&query=", Escaped(query));
  Answer answer;
  answer.limit = options.max_answer_bytes;
  answer.cancelled = &options.cancelled;
  char words[CURL_ERROR_SIZE] = "";
  CURL* const to = curl_.get();
  curl_easy_setopt(to, CURLOPT_URL, url.c_str());
  curl_easy_setopt(to, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
  curl_easy_setopt(to, CURLOPT_POSTFIELDS, body.data());
  curl_easy_setopt(to, CURLOPT_TIMEOUT_MS,
                   static_cast<long>(absl::ToInt64Milliseconds(options.patience)));
  curl_easy_setopt(to, CURLOPT_WRITEDATA, &answer);
  curl_easy_setopt(to, CURLOPT_XFERINFODATA, &answer);
  curl_easy_setopt(to, CURLOPT_ERRORBUFFER, words);
  CURLcode sent = curl_easy_perform(to);
  if (WasDead(to, sent) && answer.bytes.empty()) {
    // The server was started anew, or tired of waiting: once more over a connection of
    // now. What was inserted before all the same has the same keys.
    curl_easy_setopt(to, CURLOPT_FRESH_CONNECT, 1L);
    sent = curl_easy_perform(to);
    curl_easy_setopt(to, CURLOPT_FRESH_CONNECT, 0L);
  }
  curl_easy_setopt(to, CURLOPT_ERRORBUFFER, nullptr);
  if (sent == CURLE_OPERATION_TIMEDOUT) {
    double connected = 0;
    curl_easy_getinfo(to, CURLINFO_CONNECT_TIME, &connected);
    if (connected > 0) {
      return absl::DeadlineExceededError(
          absl::StrCat("ClickHouse at ", name_, " gave no answer within ",
                       absl::FormatDuration(options.patience), "; is it overloaded or stopped?"));
    }
  }
  if (sent == CURLE_ABORTED_BY_CALLBACK) {
    return absl::CancelledError("nobody waits for the answer");
  }
  if (answer.too_large) {
    return absl::OutOfRangeError(absl::StrCat(name_, ": the answer is larger than ",
                                              options.max_answer_bytes >> 20, " MiB"));
  }
  if (sent != CURLE_OK) {
    return absl::UnavailableError(absl::StrCat(
        "cannot reach ClickHouse at ", name_, ": ",
        words[0] != '\0' ? OneLine(words) : curl_easy_strerror(sent), "; ", AdviceFor(sent)));
  }
  long status = 0;
  curl_easy_getinfo(to, CURLINFO_RESPONSE_CODE, &status);
  if (status == 200) return std::move(answer.bytes);
  return Refusal(name_, status, answer.bytes);
}

}  // namespace postern::server::clickhouse
