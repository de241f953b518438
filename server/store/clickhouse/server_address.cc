// SPDX-License-Identifier: Apache-2.0
#include "server/store/clickhouse/server_address.h"

#include <algorithm>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace postern::server::clickhouse {
namespace {

constexpr absl::string_view kPlain = "clickhouse://";
constexpr absl::string_view kTls = "clickhouses://";
constexpr uint16_t kTlsPort = 8443;

int HexDigit(char c) {
  if (absl::ascii_isdigit(static_cast<unsigned char>(c))) return c - '0';
  const char lower = absl::ascii_tolower(static_cast<unsigned char>(c));
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

std::optional<std::string> PercentDecoded(absl::string_view text) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded.push_back(text[i]);
      continue;
    }
    if (i + 2 >= text.size()) return std::nullopt;
    const int high = HexDigit(text[i + 1]);
    const int low = HexDigit(text[i + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    decoded.push_back(static_cast<char>(high << 4 | low));
    i += 2;
  }
  // Both are sent as a line of HTTP's head.
  const bool one_line = std::none_of(decoded.begin(), decoded.end(),
                                     [](unsigned char c) { return absl::ascii_iscntrl(c); });
  return one_line ? std::optional(decoded) : std::nullopt;
}

bool IsName(absl::string_view text) {
  return !text.empty() && text.size() <= 64 && !absl::ascii_isdigit(text[0]) &&
         std::all_of(text.begin(), text.end(),
                     [](unsigned char c) { return absl::ascii_isalnum(c) || c == '_'; });
}

bool IsHost(absl::string_view text, bool bracketed) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [&](unsigned char c) {
    return absl::ascii_isalnum(c) || c == '.' || c == '-' || c == '_' || (bracketed && c == ':');
  });
}

}  // namespace

std::string ServerAddress::Origin() const {
  const bool ipv6 = absl::StrContains(host, ':');
  return absl::StrCat(tls ? "https://" : "http://", ipv6 ? "[" : "", host, ipv6 ? "]" : "", ":",
                      port);
}

std::string ServerAddress::ToString() const {
  absl::string_view origin_text;
  const std::string origin = Origin();
  origin_text = origin;
  origin_text.remove_prefix(tls ? 8 : 7);
  return absl::StrCat(tls ? kTls : kPlain, origin_text, "/", database);
}

bool LooksLikeServerAddress(absl::string_view text) {
  return absl::StartsWith(text, "clickhouse:") || absl::StartsWith(text, "clickhouses:");
}

absl::StatusOr<ServerAddress> ParseServerAddress(absl::string_view text) {
  const absl::Status refused = absl::InvalidArgumentError(
      "clickhouse:// (or clickhouses:// for TLS), [USER[:PASSWORD]@]HOST[:PORT], and /DATABASE of "
      "letters, digits and _, like clickhouse://postern@db1.example.net:8123/postern");
  ServerAddress address;
  if (absl::ConsumePrefix(&text, kTls)) {
    address.tls = true;
    address.port = kTlsPort;
  } else if (!absl::ConsumePrefix(&text, kPlain)) {
    return refused;
  }
  const size_t slash = text.rfind('/');
  if (slash == absl::string_view::npos || !IsName(text.substr(slash + 1))) return refused;
  address.database = std::string(text.substr(slash + 1));
  text = text.substr(0, slash);
  if (const size_t at = text.rfind('@'); at != absl::string_view::npos) {
    const absl::string_view who = text.substr(0, at);
    text = text.substr(at + 1);
    const size_t colon = who.find(':');
    const std::optional<std::string> user = PercentDecoded(who.substr(0, colon));
    if (!user || user->empty()) return refused;
    address.user = *user;
    if (colon != absl::string_view::npos) {
      const std::optional<std::string> password = PercentDecoded(who.substr(colon + 1));
      if (!password) return refused;
      address.password = *password;
    }
  }
  const bool bracketed = absl::StartsWith(text, "[");
  const size_t end = bracketed ? text.find(']') : text.find(':');
  if (bracketed && end == absl::string_view::npos) return refused;
  absl::string_view host = bracketed ? text.substr(1, end - 1) : text.substr(0, end);
  absl::string_view rest;
  if (end != absl::string_view::npos) rest = text.substr(bracketed ? end + 1 : end);
  if (!IsHost(host, bracketed)) return refused;
  address.host = std::string(host);
  if (!rest.empty()) {
    uint32_t port = 0;
    if (!absl::ConsumePrefix(&rest, ":") || !absl::SimpleAtoi(rest, &port) || port == 0 ||
        port > 65535) {
      return refused;
    }
    address.port = static_cast<uint16_t>(port);
  }
  return address;
}

}  // namespace postern::server::clickhouse
