// SPDX-License-Identifier: Apache-2.0
// bpf(2) on maps, with errors that name the map.
#ifndef POSTERN_AGENT_SENSOR_BPF_MAP_H_
#define POSTERN_AGENT_SENSOR_BPF_MAP_H_

#include <bpf/bpf.h>

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/unique_fd.h"

namespace postern::sensor {

// A map that somebody else owns; cheap to copy.
class BpfMap {
 public:
  BpfMap(int fd, absl::string_view name) : fd_(fd), name_(name) {}

  int fd() const { return fd_; }

  template <typename Value>
  absl::StatusOr<Value> Get(uint32_t index) const {
    Value value;
    absl::Status status = LookUp(&index, &value);
    if (!status.ok()) return status;
    return value;
  }
  template <typename Value>
  absl::Status Set(uint32_t index, const Value& value) const {
    return Update(&index, &value);
  }

  // Of an array: its first values, as many as there is room for in `values`, by one call.
  template <typename Values>
  absl::Status GetAll(Values& values) const {
    return LookUpFirst(values.data(), static_cast<uint32_t>(values.size()));
  }

  // Key and value as wide as the map's own.
  absl::Status LookUp(const void* key, void* value) const;
  absl::Status Update(const void* key, const void* value) const;
  // No error where there is no such key.
  absl::Status Delete(const void* key) const;
  // The key after `key`, or the first where it is null; false at the end.
  bool NextKey(const void* key, void* next) const;

 private:
  absl::Status LookUpFirst(void* values, uint32_t count) const;

  int fd_;
  std::string name_;
};

absl::StatusOr<UniqueFd> CreateBpfMap(bpf_map_type type, absl::string_view name, uint32_t key_bytes,
                                      uint32_t value_bytes, uint32_t max_entries, uint32_t flags);

}  // namespace postern::sensor

#endif  // POSTERN_AGENT_SENSOR_BPF_MAP_H_
