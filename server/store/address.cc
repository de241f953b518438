// SPDX-License-Identifier: Apache-2.0
#include "server/store/address.h"

#include <cstdint>
#include <cstring>

namespace postern::server {
namespace {

constexpr Address kMappedFirst = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0};
constexpr Address kMappedLast = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
// The neighbours of ::ffff:0:0/96.
constexpr Address kBeforeMapped = {0, 0, 0,    0,    0,    0,    0,    0,
                                   0, 0, 0xff, 0xfe, 0xff, 0xff, 0xff, 0xff};
constexpr Address kAfterMapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0};

}  // namespace

std::vector<AddressRange> ParseRanges(absl::string_view text) {
  const absl::StatusOr<Prefix> prefix = ParsePrefix(text);
  if (!prefix.ok()) return {};
  AddressRange range{prefix->address, prefix->address};
  for (uint32_t bit = prefix->bits; bit < 128; ++bit) {
    const size_t byte = bit / 8;
    const auto one = static_cast<uint8_t>(0x80 >> (bit % 8));
    range.first[byte] = static_cast<uint8_t>(range.first[byte] & ~one);
    range.last[byte] = static_cast<uint8_t>(range.last[byte] | one);
  }
  const bool around_mapped =
      !prefix->written_as_ipv4 && range.first < kMappedFirst && range.last > kMappedLast;
  if (around_mapped) return {{range.first, kBeforeMapped}, {kAfterMapped, range.last}};
  return {range};
}

std::optional<int64_t> Ipv4Number(const Address& address) {
  if (address < kMappedFirst || address > kMappedLast) return std::nullopt;
  int64_t number = 0;
  for (size_t byte = 12; byte < address.size(); ++byte) number = number << 8 | address[byte];
  return number;
}

Address Ipv4FromNumber(int64_t number) {
  Address address = kMappedFirst;
  for (size_t byte = address.size() - 1; byte >= 12; --byte, number >>= 8) {
    address[byte] = static_cast<uint8_t>(number & 0xff);
  }
  return address;
}

std::optional<Address> AddressFromBytes(absl::string_view bytes) {
  Address address;
  if (bytes.size() != address.size()) return std::nullopt;
  memcpy(address.data(), bytes.data(), address.size());
  return address;
}

}  // namespace postern::server
