// SPDX-License-Identifier: Apache-2.0
// Reads a BPF ring buffer (Documentation/bpf/ringbuf.rst) and gives its room
// back only when told to. libbpf's reader releases each record after its
// callback, before anything can be on disk.
//
// Not thread-safe; one reader a ring.
#ifndef POSTERN_AGENT_SENSOR_RING_READER_H_
#define POSTERN_AGENT_SENSOR_RING_READER_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace postern::sensor {

class RingReader {
 public:
  // Maps the ring behind `map_fd`, which is not kept.
  static absl::StatusOr<std::unique_ptr<RingReader>> Create(int map_fd);
  ~RingReader();
  RingReader(const RingReader&) = delete;
  RingReader& operator=(const RingReader&) = delete;

  // Hands committed records after `position()` to `sink`, at most `max_records`,
  // up to the first that is still being written. Returns how many.
  size_t Read(size_t max_records, const std::function<void(absl::Span<const std::byte>)>& sink);
  // Whether there is a record after `position()`, be it still being written.
  bool HasMore() const;
  // Bytes since the ring was made, up to the end of what was handed out.
  uint64_t position() const { return position_; }
  void SkipTo(uint64_t position);
  // Gives back the room of all that was handed out.
  void Release();
  // Names the ring within this boot.
  const std::string& id() const { return id_; }

 private:
  RingReader(std::string id, size_t size, void* consumer, const void* producer);

  const std::string id_;
  const size_t size_;
  void* const consumer_page_;         // we write the consumer's position here
  const void* const producer_pages_;  // the kernel's position, then the data, mapped twice
  const size_t page_bytes_;
  uint64_t position_ = 0;
};

}  // namespace postern::sensor

#endif  // POSTERN_AGENT_SENSOR_RING_READER_H_
