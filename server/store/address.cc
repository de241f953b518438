// SPDX-License-Identifier: Apache-2.0
#include "server/store/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"

namespace postern::server {
namespace {

constexpr Address kMappedFirst = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0};
constexpr Address kMappedLast = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
// The neighbours of ::ffff:0:0/96.
constexpr Address kBeforeMapped = {0, 0, 0,    0,    0,    0,    0,    0,
                                   0, 0, 0xff, 0xfe, 0xff, 0xff, 0xff, 0xff};
constexpr Address kAfterMapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0};

bool IsMapped(const Address& address) { return address >= kMappedFirst && address <= kMappedLast; }

}  // namespace

std::optional<Address> ParseAddress(absl::string_view text) {
  const std::string terminated(text);
  if (terminated.find('\0') != std::string::npos) return std::nullopt;
  Address address = kMappedFirst;
  if (inet_pton(AF_INET, terminated.c_str(), address.data() + 12) == 1) return address;
  if (inet_pton(AF_INET6, terminated.c_str(), address.data()) == 1) return address;
  return std::nullopt;
}

std::vector<AddressRange> ParseRanges(absl::string_view text) {
  const size_t slash = text.find('/');
  const std::optional<Address> address = ParseAddress(text.substr(0, slash));
  if (!address) return {};
  const bool ipv4 = text.find(':') == absl::string_view::npos;
  int bits = 128;
  if (slash != absl::string_view::npos) {
    const absl::string_view mask = text.substr(slash + 1);
    if (mask.empty() || !std::all_of(mask.begin(), mask.end(), absl::ascii_isdigit) ||
        !absl::SimpleAtoi(mask, &bits) || bits > (ipv4 ? 32 : 128)) {
      return {};
    }
    if (ipv4) bits += 96;
  }
  AddressRange range{*address, *address};
  for (int bit = bits; bit < 128; ++bit) {
    const auto byte = static_cast<size_t>(bit / 8);
    const auto one = static_cast<uint8_t>(0x80 >> (bit % 8));
    range.first[byte] = static_cast<uint8_t>(range.first[byte] & ~one);
    range.last[byte] = static_cast<uint8_t>(range.last[byte] | one);
  }
  const bool around_mapped =
      !ipv4 && range.first < kMappedFirst && range.last > kMappedLast && !IsMapped(range.first);
  if (around_mapped) return {{range.first, kBeforeMapped}, {kAfterMapped, range.last}};
  return {range};
}

std::string FormatAddress(absl::string_view bytes) {
  Address address;
  if (bytes.size() != address.size()) return "";
  memcpy(address.data(), bytes.data(), address.size());
  char text[INET6_ADDRSTRLEN];
  const bool written = IsMapped(address)
                           ? inet_ntop(AF_INET, address.data() + 12, text, sizeof(text)) != nullptr
                           : inet_ntop(AF_INET6, address.data(), text, sizeof(text)) != nullptr;
  return written ? text : "";
}

}  // namespace postern::server
