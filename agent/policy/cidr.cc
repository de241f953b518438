// SPDX-License-Identifier: Apache-2.0
#include "agent/policy/cidr.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/status.h"

namespace postern::policy {
namespace {

constexpr uint32_t kMappedBits = 96;
constexpr std::array<uint8_t, 12> kMappedPrefix = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool SameBits(const uint8_t* a, const uint8_t* b, uint32_t bits) {
  const uint32_t whole = bits / 8;
  if (std::memcmp(a, b, whole) != 0) return false;
  const uint32_t rest = bits % 8;
  if (rest == 0) return true;
  const uint8_t mask = static_cast<uint8_t>(0xff << (8 - rest));
  return (a[whole] & mask) == (b[whole] & mask);
}

// Zeroes what lies past `bits`; true if anything did.
bool ClearHostBits(uint8_t* address, uint32_t bits) {
  bool cleared = false;
  for (uint32_t i = bits / 8; i < 16; ++i) {
    const uint8_t keep =
        i == bits / 8 ? static_cast<uint8_t>((0xff00 >> (bits % 8)) & 0xff) : uint8_t{0};
    cleared = cleared || (address[i] & ~keep) != 0;
    address[i] &= keep;
  }
  return cleared;
}

}  // namespace

bool IsIpv4Mapped(const uint8_t* address) {
  return std::memcmp(address, kMappedPrefix.data(), kMappedPrefix.size()) == 0;
}

absl::StatusOr<std::array<uint8_t, 16>> ParseAddress(absl::string_view text) {
  const std::string copy(text);
  std::array<uint8_t, 16> address = {};
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

absl::StatusOr<Cidr> ParseCidr(absl::string_view text) {
  const size_t slash = text.find('/');
  const absl::string_view address_text = text.substr(0, slash);
  ASSIGN_OR_RETURN(const auto address, ParseAddress(address_text));
  const bool written_as_ipv4 = address_text.find(':') == absl::string_view::npos;
  const uint32_t most = written_as_ipv4 ? 32 : 128;
  uint32_t bits = most;
  if (slash != absl::string_view::npos) {
    const absl::string_view length = text.substr(slash + 1);
    const bool digits =
        !length.empty() && length.size() <= 3 &&
        std::all_of(length.begin(), length.end(), [](char c) { return c >= '0' && c <= '9'; });
    if (!digits || !absl::SimpleAtoi(length, &bits) || bits > most) {
      return absl::InvalidArgumentError(
          absl::StrCat("has a prefix length that is not a number from 0 to ", most));
    }
  }
  if (written_as_ipv4) bits += kMappedBits;

  Cidr cidr;
  cidr.text = std::string(text);
  cidr.prefix.bits = bits;
  std::copy(address.begin(), address.end(), cidr.prefix.address);
  // A v6 prefix that merely covers the mapped range is a v6 prefix.
  cidr.ipv4 = bits >= kMappedBits && IsIpv4Mapped(cidr.prefix.address);
  if (ClearHostBits(cidr.prefix.address, bits)) {
    return absl::InvalidArgumentError(absl::StrCat("names one address within its network; write ",
                                                   ToString(cidr), " or the address alone"));
  }
  return cidr;
}

bool Covers(const Cidr& outer, const Cidr& inner) {
  return outer.ipv4 == inner.ipv4 && outer.prefix.bits <= inner.prefix.bits &&
         SameBits(outer.prefix.address, inner.prefix.address, outer.prefix.bits);
}

bool Contains(const Cidr& cidr, const std::array<uint8_t, 16>& address) {
  return cidr.ipv4 == IsIpv4Mapped(address.data()) &&
         SameBits(cidr.prefix.address, address.data(), cidr.prefix.bits);
}

std::string ToString(const Cidr& cidr) {
  char buffer[INET6_ADDRSTRLEN];
  if (cidr.ipv4) {
    inet_ntop(AF_INET, cidr.prefix.address + kMappedPrefix.size(), buffer, sizeof(buffer));
    return absl::StrCat(buffer, "/", cidr.prefix.bits - kMappedBits);
  }
  inet_ntop(AF_INET6, cidr.prefix.address, buffer, sizeof(buffer));
  return absl::StrCat(buffer, "/", cidr.prefix.bits);
}

}  // namespace postern::policy
