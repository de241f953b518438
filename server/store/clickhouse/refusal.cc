// SPDX-License-Identifier: Apache-2.0
#include "server/store/clickhouse/refusal.h"

#include <algorithm>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "server/store/clickhouse/one_line.h"

namespace postern::server::clickhouse {
namespace {

// What it means to us, and what to do about it.
struct Meaning {
  absl::StatusCode code;
  absl::string_view advice;
};

// Numbers of src/Common/ErrorCodes.cpp; they do not change.
Meaning MeaningOf(int code) {
  switch (code) {
    case 192:  // UNKNOWN_USER
    case 193:  // WRONG_PASSWORD
    case 194:  // REQUIRED_PASSWORD
    case 516:  // AUTHENTICATION_FAILED
      return {absl::StatusCode::kPermissionDenied,
              "check user and password in the collector's store and store_password_file"};
    case 195:  // IP_ADDRESS_NOT_ALLOWED
    case 291:  // DATABASE_ACCESS_DENIED
    case 497:  // ACCESS_DENIED
      return {absl::StatusCode::kPermissionDenied,
              "allow it to the collector's user in the server's configuration"};
    case 202:  // TOO_MANY_SIMULTANEOUS_QUERIES
    case 252:  // TOO_MANY_PARTS
      return {absl::StatusCode::kResourceExhausted, "it has too much to do; try again later"};
    case 241:  // MEMORY_LIMIT_EXCEEDED
      return {absl::StatusCode::kResourceExhausted,
              "ask for a shorter time, or allow it more memory"};
    case 243:  // NOT_ENOUGH_SPACE
      return {absl::StatusCode::kResourceExhausted, "make room on the server's disk"};
    case 159:  // TIMEOUT_EXCEEDED
      return {absl::StatusCode::kDeadlineExceeded, "ask for a shorter time, or try again later"};
    default:
      return {absl::StatusCode::kInternal, "the server's log says more"};
  }
}

// Takes "Code: 60" off the front; 0 where there is none.
int TakeCode(absl::string_view& text) {
  int code = 0;
  if (!absl::ConsumePrefix(&text, "Code: ")) return 0;
  const size_t end = std::min(text.find_first_not_of("0123456789"), text.size());
  if (!absl::SimpleAtoi(text.substr(0, end), &code)) code = 0;
  text.remove_prefix(end);
  return code;
}

// Advice follows behind a semicolon.
absl::string_view WithoutFullStop(absl::string_view text) {
  while (absl::ConsumeSuffix(&text, ".") || absl::ConsumeSuffix(&text, " ")) {
  }
  return text;
}

// Of ", e.displayText() = DB::Exception: REASON, e.what() = DB::Exception" (up to 21) or
// ". DB::Exception: REASON. (NAME) (version 24.8.1)" the reason.
absl::string_view ReasonIn(absl::string_view text) {
  constexpr absl::string_view kException = "Exception: ";
  const size_t begin = text.find(kException);
  if (begin != absl::string_view::npos) text.remove_prefix(begin + kException.size());
  for (const absl::string_view noise :
       {"\n", ", e.what() = ", ", Stack trace", " Stack trace:", " (version "}) {
    text = text.substr(0, text.find(noise));
  }
  const size_t name = text.rfind(" (");
  if (name != absl::string_view::npos && absl::EndsWith(text, ")")) {
    const absl::string_view inner = text.substr(name + 2, text.size() - name - 3);
    const bool is_name = std::all_of(inner.begin(), inner.end(), [](unsigned char c) {
      return absl::ascii_isupper(c) || absl::ascii_isdigit(c) || c == '_';
    });
    if (is_name) text = text.substr(0, name);
  }
  return WithoutFullStop(text);
}

}  // namespace

absl::Status Refusal(absl::string_view name, long http_status, absl::string_view answer) {
  absl::string_view text = answer;
  const int code = TakeCode(text);
  if (code == 0) {
    // A proxy, another service, or the port of ClickHouse's own protocol.
    const std::string said = OneLine(answer);
    return absl::InternalError(absl::StrCat(name, " answers HTTP ", http_status,
                                            said.empty() ? "" : ": ", WithoutFullStop(said),
                                            "; is that the HTTP port of a ClickHouse server?"));
  }
  const Meaning meaning = MeaningOf(code);
  return absl::Status(meaning.code,
                      absl::StrCat("ClickHouse at ", name, " refuses: ", OneLine(ReasonIn(text)),
                                   " (code ", code, "); ", meaning.advice));
}

}  // namespace postern::server::clickhouse
