// SPDX-License-Identifier: Apache-2.0
// What groups are kept apart by, in a form that is the same for every partition and
// takes little room; its texts are made for those that are answered.
#ifndef POSTERN_SERVER_STORE_GROUP_KEY_H_
#define POSTERN_SERVER_STORE_GROUP_KEY_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "common/address.h"
#include "postern/v1/query.pb.h"
#include "server/store/event_filter.h"

namespace postern::server {

// Of fields that are not grouped by, what is here.
struct GroupNumbers {
  // v1::Event::Verdict.
  uint8_t verdict = 0;
  bool has_ipv4 = false;
  bool has_ipv6 = false;
  uint32_t ipv4 = 0;
  // 0: none.
  int64_t port = 0;
  Address ipv6 = {};

  template <typename H>
  friend H AbslHashValue(H state, const GroupNumbers& numbers) {
    return H::combine(std::move(state), numbers.verdict, numbers.has_ipv4, numbers.has_ipv6,
                      numbers.ipv4, numbers.port, numbers.ipv6);
  }
  friend bool operator==(const GroupNumbers&, const GroupNumbers&) = default;
};

// Whether the field's value is among the numbers; else it is a text.
bool IsNumber(GroupField field);

// Nearly all numbers fit into 64 bits: all but IPv6, and ports that are none.
std::optional<uint64_t> NarrowKey(const GroupNumbers& numbers);

// Any numbers, and the values of the fields that are texts, in the fields' order.
std::string WideKey(const GroupNumbers& numbers, const std::vector<absl::string_view>& texts);

// The group's values, one a field.
void SetValues(uint64_t narrow_key, const std::vector<GroupField>& fields, v1::Group& group);
void SetValues(absl::string_view wide_key, const std::vector<GroupField>& fields, v1::Group& group);

}  // namespace postern::server

#endif  // POSTERN_SERVER_STORE_GROUP_KEY_H_
