// SPDX-License-Identifier: Apache-2.0
// Addresses as they are stored: 16 bytes, so that every CIDR is one range of byte
// strings.
#ifndef POSTERN_SERVER_STORE_ADDRESS_H_
#define POSTERN_SERVER_STORE_ADDRESS_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "common/address.h"

namespace postern::server {

// Both ends included.
struct AddressRange {
  Address first;
  Address last;
};

// An address or a CIDR ("10.0.0.0/8"; bits below the mask do not matter). An
// IPv6 CIDR around ::ffff:0:0/96 does not mean IPv4, hence up to two ranges.
// Empty for what is neither.
std::vector<AddressRange> ParseRanges(absl::string_view text);

// `bytes` as they are stored; "" unless they are 16.
std::string FormatAddress(absl::string_view bytes);

}  // namespace postern::server

#endif  // POSTERN_SERVER_STORE_ADDRESS_H_
