// SPDX-License-Identifier: Apache-2.0
// Any bytes as a ring record: what is decoded survives the wire, which refuses
// strings that are not UTF-8.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "agent/sensor/decoder.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto decoded =
      postern::sensor::Decode({reinterpret_cast<const std::byte*>(data), size}, /*offset=*/1);
  if (!decoded.ok()) return 0;
  postern::v1::Event copy;
  if (!copy.ParseFromString(decoded->event.SerializeAsString())) abort();
  return 0;
}
