// SPDX-License-Identifier: Apache-2.0
#include "server/store/group_sums.h"

#include <algorithm>
#include <tuple>

#include "absl/hash/hash.h"
#include "absl/strings/string_view.h"

namespace postern::server {
namespace {

// Texts may hold any byte: their lengths keep them apart.
std::string Pack(const std::vector<std::string>& values) {
  std::string key;
  for (const std::string& value : values) {
    for (size_t length = value.size(), i = 0; i < 4; ++i, length >>= 8) {
      key.push_back(static_cast<char>(length & 0xff));
    }
    key += value;
  }
  return key;
}

void Unpack(absl::string_view key, v1::Group& group) {
  while (!key.empty()) {
    size_t length = 0;
    for (size_t i = 4; i-- > 0;) length = length << 8 | static_cast<unsigned char>(key[i]);
    group.add_values(std::string(key.substr(4, length)));
    key.remove_prefix(4 + length);
  }
}

bool Before(const std::pair<std::string, Sums>& a, const std::pair<std::string, Sums>& b) {
  return std::tie(a.second.count, a.second.last, a.first) >
         std::tie(b.second.count, b.second.last, b.first);
}

}  // namespace

void Sums::Add(const Sums& other) {
  count += other.count;
  first = std::min(first, other.first);
  last = std::max(last, other.last);
}

bool GroupSums::NextPass() {
  if (overflowed_) {
    // Begin again, with smaller shares.
    passes_ *= 4;
    pass_ = 0;
    largest_.clear();
    groups_.clear();
    overflowed_ = false;
    return true;
  }
  if (!began_) {
    began_ = true;
    return true;
  }
  KeepLargest();
  return ++pass_ < passes_;
}

bool GroupSums::Add(const std::vector<std::string>& values, const Sums& sums) {
  std::string key = Pack(values);
  if (!by_destination_ && passes_ > 1 && absl::Hash<std::string>()(key) % passes_ != pass_) {
    return true;
  }
  groups_[std::move(key)].Add(sums);
  overflowed_ = groups_.size() > max_in_memory_;
  return !overflowed_;
}

void GroupSums::KeepLargest() {
  for (const auto& group : groups_) {
    if (group.second.count > 0) largest_.push_back(group);
  }
  groups_.clear();
  const size_t wanted = size_t{limit_} + 1;
  if (largest_.size() <= wanted) return;
  std::nth_element(largest_.begin(), largest_.begin() + static_cast<std::ptrdiff_t>(wanted),
                   largest_.end(), Before);
  largest_.resize(wanted);
}

GroupPage GroupSums::Take() {
  std::sort(largest_.begin(), largest_.end(), Before);
  GroupPage page;
  page.truncated = largest_.size() > limit_;
  if (page.truncated) largest_.pop_back();
  for (const auto& [key, sums] : largest_) {
    v1::Group& group = page.groups.emplace_back();
    Unpack(key, group);
    group.set_count(static_cast<uint64_t>(sums.count));
    group.set_first_ns(static_cast<uint64_t>(sums.first));
    group.set_last_ns(static_cast<uint64_t>(sums.last));
  }
  return page;
}

}  // namespace postern::server
