// SPDX-License-Identifier: Apache-2.0
#include "agent/sensor/bpf_map.h"

#include <cerrno>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/status.h"

namespace postern::sensor {

absl::Status BpfMap::LookUp(const void* key, void* value) const {
  if (bpf_map_lookup_elem(fd_, key, value) == 0) return absl::OkStatus();
  return ErrnoStatus(errno, absl::StrCat("reading the kernel's map ", name_));
}

absl::Status BpfMap::Update(const void* key, const void* value) const {
  if (bpf_map_update_elem(fd_, key, value, BPF_ANY) == 0) return absl::OkStatus();
  return ErrnoStatus(errno, absl::StrCat("writing the kernel's map ", name_));
}

absl::Status BpfMap::Delete(const void* key) const {
  if (bpf_map_delete_elem(fd_, key) == 0 || errno == ENOENT) return absl::OkStatus();
  return ErrnoStatus(errno, absl::StrCat("deleting from the kernel's map ", name_));
}

absl::Status BpfMap::LookUpFirst(void* values, uint32_t count) const {
  std::vector<uint32_t> indices(count);
  uint32_t next = 0;
  uint32_t found = count;
  if (bpf_map_lookup_batch(fd_, nullptr, &next, indices.data(), values, &found, nullptr) != 0) {
    return ErrnoStatus(errno, absl::StrCat("reading the kernel's map ", name_));
  }
  return absl::OkStatus();
}

bool BpfMap::NextKey(const void* key, void* next) const {
  return bpf_map_get_next_key(fd_, key, next) == 0;
}

absl::StatusOr<UniqueFd> CreateBpfMap(bpf_map_type type, absl::string_view name, uint32_t key_bytes,
                                      uint32_t value_bytes, uint32_t max_entries, uint32_t flags) {
  LIBBPF_OPTS(bpf_map_create_opts, options);
  options.map_flags = flags;
  UniqueFd fd(bpf_map_create(type, std::string(name).c_str(), key_bytes, value_bytes, max_entries,
                             &options));
  if (!fd.valid()) return ErrnoStatus(errno, absl::StrCat("making the kernel's map ", name));
  return fd;
}

}  // namespace postern::sensor
