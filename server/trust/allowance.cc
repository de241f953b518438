// SPDX-License-Identifier: Apache-2.0
#include "server/trust/allowance.h"

#include <algorithm>

namespace postern::server {

size_t Allowance::Of(const std::string& who, size_t most, absl::Time now) {
  return static_cast<size_t>(std::clamp(Fill(who, now).bytes, 0.0, static_cast<double>(most)));
}

void Allowance::Spend(const std::string& who, size_t bytes, absl::Time now) {
  Fill(who, now).bytes -= static_cast<double>(bytes);
}

void Allowance::Prune(absl::Time now) {
  absl::erase_if(buckets_,
                 [&](const auto& entry) { return Filled(entry.second, now) >= bytes_per_second_; });
}

double Allowance::Filled(const Bucket& bucket, absl::Time now) const {
  return std::min(bytes_per_second_,
                  bucket.bytes + bytes_per_second_ * absl::ToDoubleSeconds(now - bucket.filled));
}

Allowance::Bucket& Allowance::Fill(const std::string& who, absl::Time now) {
  const auto [found, first] =
      buckets_.try_emplace(who, Bucket{.bytes = bytes_per_second_, .filled = now});
  Bucket& bucket = found->second;
  bucket = {.bytes = Filled(bucket, now), .filled = now};
  return bucket;
}

}  // namespace postern::server
