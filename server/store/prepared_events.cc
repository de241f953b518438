// SPDX-License-Identifier: Apache-2.0
#include "server/store/prepared_events.h"

#include <utility>

#include "server/store/event_parts.h"

namespace postern::server {
namespace {

// FNV-1a, 64 bits (draft-eastlake-fnv).
int64_t Hash(absl::string_view bytes) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char byte : bytes) {
    hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001b3;
  }
  return static_cast<int64_t>(hash);
}

// A batch of many sorts is not searched to its beginning: traits that are there
// twice cost no more than room.
constexpr size_t kLookBack = 32;

}  // namespace

void PreparedEvents::Add(v1::Event& event) {
  Event& prepared = events_.emplace_back();
  if (event.kind() == v1::Event::KIND_UNSPECIFIED) return;
  prepared.row = RowOf(event);
  EventParts parts;
  Split(event, prepared.row, parts);
  prepared.traits = IndexOf(std::move(parts.traits));
  prepared.rest_begin = rests_.size();
  prepared.rest_size = parts.rest.size();
  rests_ += parts.rest;
}

size_t PreparedEvents::IndexOf(std::string traits) {
  for (size_t back = 0; back < kLookBack && back < traits_.size(); ++back) {
    const size_t index = traits_.size() - 1 - back;
    if (traits_[index].bytes == traits) return index;
  }
  const int64_t hash = Hash(traits);
  traits_.push_back({hash, std::move(traits)});
  return traits_.size() - 1;
}

size_t PreparedEvents::bytes() const {
  size_t bytes = events_.size() * sizeof(Event) + rests_.size();
  for (const Traits& traits : traits_) bytes += sizeof(Traits) + traits.bytes.size();
  return bytes;
}

}  // namespace postern::server
