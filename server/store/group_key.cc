// SPDX-License-Identifier: Apache-2.0
#include "server/store/group_key.h"

#include <cstring>

#include "absl/strings/str_cat.h"
#include "server/store/address.h"
#include "server/store/verdict_name.h"

namespace postern::server {
namespace {

// A narrow key: bits 0 to 31 the address, 32 to 47 the port, 48 to 55 the verdict,
// 56 whether there is an address.
constexpr int kPortShift = 32;
constexpr int kVerdictShift = 48;
constexpr int kIpv4Shift = 56;
constexpr int64_t kMaxPort = 0xffff;

template <typename Number>
void Append(Number number, std::string& key) {
  key.append(reinterpret_cast<const char*>(&number), sizeof(number));
}

template <typename Number>
Number Take(absl::string_view& key) {
  Number number;
  memcpy(&number, key.data(), sizeof(number));
  key.remove_prefix(sizeof(number));
  return number;
}

std::string TextOf(GroupField field, const GroupNumbers& numbers) {
  switch (field) {
    case GroupField::kVerdict:
      return VerdictName(numbers.verdict);
    case GroupField::kPort:
      return numbers.port == 0 ? std::string() : absl::StrCat(numbers.port);
    default:
      if (numbers.has_ipv4) return FormatAddress(Ipv4FromNumber(numbers.ipv4));
      return numbers.has_ipv6 ? FormatAddress(numbers.ipv6) : std::string();
  }
}

GroupNumbers NumbersOf(uint64_t narrow_key) {
  GroupNumbers numbers;
  numbers.ipv4 = static_cast<uint32_t>(narrow_key);
  numbers.port = static_cast<int64_t>(narrow_key >> kPortShift & kMaxPort);
  numbers.verdict = static_cast<uint8_t>(narrow_key >> kVerdictShift);
  numbers.has_ipv4 = (narrow_key >> kIpv4Shift & 1) != 0;
  return numbers;
}

}  // namespace

bool IsNumber(GroupField field) {
  return field == GroupField::kVerdict || field == GroupField::kPort ||
         field == GroupField::kDestination;
}

std::optional<uint64_t> NarrowKey(const GroupNumbers& numbers) {
  if (numbers.has_ipv6 || numbers.port < 0 || numbers.port > kMaxPort) return std::nullopt;
  return uint64_t{numbers.ipv4} | static_cast<uint64_t>(numbers.port) << kPortShift |
         uint64_t{numbers.verdict} << kVerdictShift | uint64_t{numbers.has_ipv4} << kIpv4Shift;
}

// Texts may hold any byte: their lengths keep them apart.
std::string WideKey(const GroupNumbers& numbers, const std::vector<absl::string_view>& texts) {
  std::string key;
  Append(numbers.verdict, key);
  Append(numbers.port, key);
  Append<uint8_t>(numbers.has_ipv4 ? 1 : numbers.has_ipv6 ? 2 : 0, key);
  if (numbers.has_ipv4) Append(numbers.ipv4, key);
  if (numbers.has_ipv6) Append(numbers.ipv6, key);
  for (const absl::string_view text : texts) {
    Append(static_cast<uint32_t>(text.size()), key);
    key.append(text.data(), text.size());
  }
  return key;
}

void SetValues(uint64_t narrow_key, const std::vector<GroupField>& fields, v1::Group& group) {
  const GroupNumbers numbers = NumbersOf(narrow_key);
  for (const GroupField field : fields) group.add_values(TextOf(field, numbers));
}

void SetValues(absl::string_view wide_key, const std::vector<GroupField>& fields,
               v1::Group& group) {
  GroupNumbers numbers;
  numbers.verdict = Take<uint8_t>(wide_key);
  numbers.port = Take<int64_t>(wide_key);
  const auto family = Take<uint8_t>(wide_key);
  numbers.has_ipv4 = family == 1;
  numbers.has_ipv6 = family == 2;
  if (numbers.has_ipv4) numbers.ipv4 = Take<uint32_t>(wide_key);
  if (numbers.has_ipv6) numbers.ipv6 = Take<Address>(wide_key);
  for (const GroupField field : fields) {
    if (IsNumber(field)) {
      group.add_values(TextOf(field, numbers));
      continue;
    }
    const auto length = Take<uint32_t>(wide_key);
    group.add_values(std::string(wide_key.substr(0, length)));
    wide_key.remove_prefix(length);
  }
}

}  // namespace postern::server
