// SPDX-License-Identifier: Apache-2.0
// How many bytes everybody may still send: so many a second, and as many at once
// (a token bucket each). Who has sent more than that owes it. For one thread.
#ifndef POSTERN_SERVER_TRUST_ALLOWANCE_H_
#define POSTERN_SERVER_TRUST_ALLOWANCE_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"

namespace postern::server {

class Allowance {
 public:
  explicit Allowance(uint64_t bytes_per_second)
      : bytes_per_second_(static_cast<double>(bytes_per_second)) {}

  uint64_t bytes_per_second() const { return static_cast<uint64_t>(bytes_per_second_); }

  // What `who` may send now, `most` at most.
  size_t Of(const std::string& who, size_t most, absl::Time now);
  // It has sent so much.
  void Spend(const std::string& who, size_t bytes, absl::Time now);
  // Forgets who may send all again. Call it now and then.
  void Prune(absl::Time now);

 private:
  struct Bucket {
    double bytes = 0;
    absl::Time filled;
  };
  double Filled(const Bucket& bucket, absl::Time now) const;
  Bucket& Fill(const std::string& who, absl::Time now);

  const double bytes_per_second_;
  absl::flat_hash_map<std::string, Bucket> buckets_;
};

}  // namespace postern::server

#endif  // POSTERN_SERVER_TRUST_ALLOWANCE_H_
