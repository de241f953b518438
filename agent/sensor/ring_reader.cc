// SPDX-License-Identifier: Apache-2.0
#include "agent/sensor/ring_reader.h"

#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "common/status.h"

namespace postern::sensor {
namespace {

// The positions are written by the kernel with release stores and read likewise.
uint64_t LoadAcquire(const void* address) {
  return __atomic_load_n(static_cast<const uint64_t*>(address), __ATOMIC_ACQUIRE);
}

uint64_t RoundUp(uint64_t bytes) { return (bytes + 7) & ~uint64_t{7}; }

}  // namespace

absl::StatusOr<std::unique_ptr<RingReader>> RingReader::Create(int map_fd) {
  bpf_map_info info = {};
  uint32_t info_bytes = sizeof(info);
  if (bpf_obj_get_info_by_fd(map_fd, &info, &info_bytes) != 0) {
    return ErrnoStatus(errno, "reading what the ring buffer is");
  }
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const size_t size = info.max_entries;
  void* consumer = mmap(nullptr, page, PROT_READ | PROT_WRITE, MAP_SHARED, map_fd, 0);
  if (consumer == MAP_FAILED) return ErrnoStatus(errno, "mapping a ring buffer");
  void* producer =
      mmap(nullptr, page + 2 * size, PROT_READ, MAP_SHARED, map_fd, static_cast<off_t>(page));
  if (producer == MAP_FAILED) {
    const int error = errno;
    munmap(consumer, page);
    return ErrnoStatus(error, "mapping a ring buffer");
  }
  return absl::WrapUnique(new RingReader(absl::StrCat(info.id), size, consumer, producer));
}

RingReader::RingReader(std::string id, size_t size, void* consumer, const void* producer)
    : id_(std::move(id)),
      size_(size),
      consumer_page_(consumer),
      producer_pages_(producer),
      page_bytes_(static_cast<size_t>(sysconf(_SC_PAGESIZE))),
      position_(LoadAcquire(consumer)) {}

RingReader::~RingReader() {
  munmap(consumer_page_, page_bytes_);
  munmap(const_cast<void*>(producer_pages_), page_bytes_ + 2 * size_);
}

size_t RingReader::Read(size_t max_records,
                        const std::function<void(absl::Span<const std::byte>)>& sink) {
  const auto* data = static_cast<const std::byte*>(producer_pages_) + page_bytes_;
  size_t records = 0;
  while (records < max_records) {
    if (!HasMore()) break;
    const std::byte* record = data + (position_ & (size_ - 1));
    const uint32_t header =
        __atomic_load_n(reinterpret_cast<const uint32_t*>(record), __ATOMIC_ACQUIRE);
    if ((header & BPF_RINGBUF_BUSY_BIT) != 0) break;
    const uint32_t length = header & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);
    position_ += RoundUp(uint64_t{length} + BPF_RINGBUF_HDR_SZ);
    if ((header & BPF_RINGBUF_DISCARD_BIT) != 0) continue;
    sink({record + BPF_RINGBUF_HDR_SZ, length});
    ++records;
  }
  return records;
}

bool RingReader::HasMore() const { return position_ < LoadAcquire(producer_pages_); }

void RingReader::SkipTo(uint64_t position) {
  if (position > position_ && position <= LoadAcquire(producer_pages_)) position_ = position;
}

void RingReader::Release() {
  __atomic_store_n(static_cast<uint64_t*>(consumer_page_), position_, __ATOMIC_RELEASE);
}

}  // namespace postern::sensor
