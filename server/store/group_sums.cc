// SPDX-License-Identifier: Apache-2.0
#include "server/store/group_sums.h"

#include <algorithm>
#include <optional>
#include <tuple>
#include <utility>

#include "absl/hash/hash.h"

namespace postern::server {
namespace {

// What the heap adds to a text.
constexpr size_t kHeapBytes = 16;

template <typename Groups>
size_t TableBytes(const Groups& groups) {
  // A byte of control for each place.
  return groups.bucket_count() * (sizeof(typename Groups::value_type) + 1);
}

size_t HeapBytes(uint64_t) { return 0; }
size_t HeapBytes(const std::string& key) {
  return key.capacity() > std::string().capacity() ? key.capacity() + kHeapBytes : 0;
}

}  // namespace

void Sums::Add(const Sums& other) {
  count += other.count;
  first = std::min(first, other.first);
  last = std::max(last, other.last);
}

GroupSums::GroupSums(std::vector<GroupField> fields, uint32_t limit, size_t max_bytes)
    : fields_(std::move(fields)), limit_(limit), max_bytes_(max_bytes), shares_(kShares) {}

bool GroupSums::NextPass() {
  AddWaiting();
  KeepLargest();
  begin_ = end_;
  end_ = kShares;
  if (begin_ == end_) return false;
  ++passes_;
  return true;
}

void GroupSums::Add(const GroupNumbers& numbers, const std::vector<absl::string_view>& texts,
                    const Sums& sums) {
  if (texts.empty()) {
    if (const std::optional<uint64_t> key = NarrowKey(numbers)) {
      shares_[ShareOf(absl::HashOf(*key))].narrow.prefetch(*key);
      waiting_[waiting_count_++] = {*key, sums};
      if (waiting_count_ == waiting_.size()) AddWaiting();
      return;
    }
  }
  AddTo(&Share::wide, WideKey(numbers, texts), sums);
}

size_t GroupSums::ShareOf(size_t hash) {
  return hash >> (std::numeric_limits<size_t>::digits - kShareBits);
}

void GroupSums::AddWaiting() {
  for (size_t i = 0; i < waiting_count_; ++i) {
    AddTo(&Share::narrow, waiting_[i].key, waiting_[i].sums);
  }
  waiting_count_ = 0;
}

template <typename Key>
void GroupSums::AddTo(absl::flat_hash_map<Key, Sums> Share::*groups, Key key, const Sums& sums) {
  const size_t number = ShareOf(absl::HashOf(key));
  if (number < begin_ || number >= end_) return;
  Share& share = shares_[number];
  absl::flat_hash_map<Key, Sums>& table = share.*groups;
  const size_t before = TableBytes(table);
  const auto [group, added] = table.try_emplace(std::move(key));
  group->second.Add(sums);
  if (added) Grew(share, TableBytes(table) - before + HeapBytes(group->first));
}

void GroupSums::Grew(Share& share, size_t bytes) {
  share.bytes += bytes;
  bytes_ += bytes;
  if (bytes_ > max_bytes_) LeaveToNextPass();
}

void GroupSums::LeaveToNextPass() {
  // With some room, so that it does not come to this with every table that grows.
  while (bytes_ > max_bytes_ - max_bytes_ / 8 && end_ - begin_ > 1) {
    Share& share = shares_[--end_];
    bytes_ -= share.bytes;
    share = Share();
  }
}

bool GroupSums::Before(const Group& a, const Group& b) {
  return std::tie(a.sums.count, a.sums.last, a.narrow_key, a.wide_key) >
         std::tie(b.sums.count, b.sums.last, b.narrow_key, b.wide_key);
}

void GroupSums::KeepLargest() {
  for (size_t number = begin_; number < end_; ++number) {
    Share share = std::exchange(shares_[number], Share());
    for (const auto& [key, sums] : share.narrow) Keep({sums, key, ""});
    for (const auto& [key, sums] : share.wide) Keep({sums, 0, key});
  }
  bytes_ = 0;
}

void GroupSums::Keep(Group group) {
  if (group.sums.count <= 0) return;
  largest_.push_back(std::move(group));
  const size_t wanted = size_t{limit_} + 1;
  if (largest_.size() < 2 * wanted) return;
  std::nth_element(largest_.begin(), largest_.begin() + static_cast<std::ptrdiff_t>(wanted - 1),
                   largest_.end(), Before);
  largest_.resize(wanted);
}

GroupPage GroupSums::Take() {
  std::sort(largest_.begin(), largest_.end(), Before);
  GroupPage page;
  page.truncated = largest_.size() > limit_;
  if (page.truncated) largest_.resize(limit_);
  for (const Group& kept : largest_) {
    v1::Group& group = page.groups.emplace_back();
    if (kept.wide_key.empty()) {
      SetValues(kept.narrow_key, fields_, group);
    } else {
      SetValues(kept.wide_key, fields_, group);
    }
    group.set_count(static_cast<uint64_t>(kept.sums.count));
    group.set_first_ns(static_cast<uint64_t>(kept.sums.first));
    group.set_last_ns(static_cast<uint64_t>(kept.sums.last));
  }
  return page;
}

}  // namespace postern::server
