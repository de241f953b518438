// SPDX-License-Identifier: Apache-2.0
#include "common/address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/status.h"

namespace postern {
namespace {

constexpr std::array<uint8_t, 12> kMappedPrefix = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

}  // namespace

bool IsIpv4Mapped(const uint8_t* address) {
  return std::memcmp(address, kMappedPrefix.data(), kMappedPrefix.size()) == 0;
}

absl::StatusOr<Address> ParseAddress(absl::string_view text) {
  const std::string copy(text);
  Address address = {};
  // inet_pton stops at a NUL that a YAML escape can put there.
  if (copy.find('\0') == std::string::npos) {
    if (inet_pton(AF_INET6, copy.c_str(), address.data()) == 1) return address;
    std::copy(kMappedPrefix.begin(), kMappedPrefix.end(), address.begin());
    if (inet_pton(AF_INET, copy.c_str(), address.data() + kMappedPrefix.size()) == 1) {
      return address;
    }
  }
  return absl::InvalidArgumentError("is neither an IPv4 nor an IPv6 address");
}

absl::StatusOr<Prefix> ParsePrefix(absl::string_view text) {
  const size_t slash = text.find('/');
  const absl::string_view address = text.substr(0, slash);
  Prefix prefix;
  ASSIGN_OR_RETURN(prefix.address, ParseAddress(address));
  prefix.written_as_ipv4 = address.find(':') == absl::string_view::npos;
  if (slash == absl::string_view::npos) return prefix;
  const uint32_t most = prefix.written_as_ipv4 ? 32 : 128;
  const absl::string_view length = text.substr(slash + 1);
  const bool digits = !length.empty() && length.size() <= 3 &&
                      std::all_of(length.begin(), length.end(), absl::ascii_isdigit);
  if (!digits || !absl::SimpleAtoi(length, &prefix.bits) || prefix.bits > most) {
    return absl::InvalidArgumentError(
        absl::StrCat("has a prefix length that is not a number from 0 to ", most));
  }
  prefix.bits += 128 - most;
  return prefix;
}

std::string FormatAddress(const Address& address) {
  char text[INET6_ADDRSTRLEN];
  if (IsIpv4Mapped(address.data())) {
    inet_ntop(AF_INET, address.data() + kMappedPrefix.size(), text, sizeof(text));
  } else {
    inet_ntop(AF_INET6, address.data(), text, sizeof(text));
  }
  return text;
}

}  // namespace postern
