// SPDX-License-Identifier: Apache-2.0
#include "common/packing.h"

#include <zlib.h>

#include "absl/status/status.h"

namespace postern {
namespace {

const Bytef* In(absl::string_view bytes) { return reinterpret_cast<const Bytef*>(bytes.data()); }
Bytef* Out(std::string& bytes) { return reinterpret_cast<Bytef*>(bytes.data()); }

}  // namespace

std::string Pack(absl::string_view bytes) {
  uLongf size = compressBound(bytes.size());
  std::string packed(size, '\0');
  // With room for the worst case it fails for lack of memory alone.
  if (compress2(Out(packed), &size, In(bytes), bytes.size(), Z_BEST_SPEED) != Z_OK) return "";
  packed.resize(size);
  return packed;
}

absl::StatusOr<std::string> Unpack(absl::string_view packed, size_t size) {
  std::string bytes(size, '\0');
  uLongf length = size;
  uLong used = packed.size();
  const int code = uncompress2(Out(bytes), &length, In(packed), &used);
  if (code != Z_OK || length != size || used != packed.size()) {
    return absl::InvalidArgumentError("packed bytes are damaged, or not as many as was said");
  }
  return bytes;
}

}  // namespace postern
