// SPDX-License-Identifier: Apache-2.0
#include "agent/policy/cidr.h"

#include <algorithm>
#include <cstring>
#include <iterator>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/status.h"

namespace postern::policy {
namespace {

constexpr uint32_t kMappedBits = 96;

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

absl::StatusOr<Cidr> ParseCidr(absl::string_view text) {
  ASSIGN_OR_RETURN(const Prefix prefix, ParsePrefix(text));
  Cidr cidr;
  cidr.text = std::string(text);
  cidr.prefix.bits = prefix.bits;
  std::copy(prefix.address.begin(), prefix.address.end(), cidr.prefix.address);
  // A v6 prefix that merely covers the mapped range is a v6 prefix.
  cidr.ipv4 = prefix.bits >= kMappedBits && IsIpv4Mapped(cidr.prefix.address);
  if (ClearHostBits(cidr.prefix.address, prefix.bits)) {
    return absl::InvalidArgumentError(absl::StrCat("names one address within its network; write ",
                                                   ToString(cidr), " or the address alone"));
  }
  return cidr;
}

bool Covers(const Cidr& outer, const Cidr& inner) {
  return outer.ipv4 == inner.ipv4 && outer.prefix.bits <= inner.prefix.bits &&
         SameBits(outer.prefix.address, inner.prefix.address, outer.prefix.bits);
}

bool Contains(const Cidr& cidr, const Address& address) {
  return cidr.ipv4 == IsIpv4Mapped(address.data()) &&
         SameBits(cidr.prefix.address, address.data(), cidr.prefix.bits);
}

std::string ToString(const Cidr& cidr) {
  Address address;
  std::copy(std::begin(cidr.prefix.address), std::end(cidr.prefix.address), address.begin());
  return absl::StrCat(FormatAddress(address), "/",
                      cidr.prefix.bits - (cidr.ipv4 ? kMappedBits : 0));
}

}  // namespace postern::policy
