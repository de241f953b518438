// SPDX-License-Identifier: Apache-2.0
// An event as one JSON object: what `posternd` logs and `postern --json` prints.
//
// Key names are fixed: more may be added, none renamed or dropped. What
// is absent has no key, and neither has a flag that is false. Times are RFC 3339
// in UTC with nine digits. Bytes that are not UTF-8 come out as U+FFFD: nothing
// here fails or throws. Pure functions, safe from any thread.
#ifndef POSTERN_COMMON_EVENT_JSON_H_
#define POSTERN_COMMON_EVENT_JSON_H_

#include <array>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "postern/v1/event.pb.h"

namespace postern {

// One line, without the line break.
std::string EventToJson(const v1::Event& event);

// The names that stand in JSON, in tables and on the command line. A value that
// this version does not know is "unknown_N", N its number; the unspecified one "".
std::string KindName(v1::Event::Kind kind);
std::string VerdictName(v1::Event::Verdict verdict);
std::string IdentityName(v1::Event::Identity identity);
std::string GapReasonName(v1::Gap::Reason reason);

// Verdicts in the order of their numbers, and the way back from a name.
inline constexpr std::array<v1::Event::Verdict, 6> kVerdicts = {
    v1::Event::ALLOWED,    v1::Event::DENIED,         v1::Event::WOULD_DENY,
    v1::Event::REDIRECTED, v1::Event::WOULD_REDIRECT, v1::Event::OVER_LIMIT};
std::optional<v1::Event::Verdict> VerdictFromName(absl::string_view name);

// Likewise, of those that a query shows among its events.
inline constexpr std::array<v1::Event::Kind, 8> kKinds = {v1::Event::CONNECT,
                                                          v1::Event::POLICY,
                                                          v1::Event::RAW_SOCKET,
                                                          v1::Event::PACKET_SOCKET,
                                                          v1::Event::EARLIER_CONNECTION,
                                                          v1::Event::CANARY,
                                                          v1::Event::CLOCK_STEP,
                                                          v1::Event::AGENT_SILENT};
std::optional<v1::Event::Kind> KindFromName(absl::string_view name);

}  // namespace postern

#endif  // POSTERN_COMMON_EVENT_JSON_H_
