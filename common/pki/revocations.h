// SPDX-License-Identifier: Apache-2.0
// Whose certificates no longer hold: a text file, a line each,
//
//   agent web1.example.net 1767225600
//
// for "certificates of agent web1.example.net that begin at or before that second
// (of the Unix epoch) are revoked". A later one, which takes a new token, holds
// again. Lines are only ever added, each whole or not at all. What cannot be read
// revokes nothing by itself: Load() says so, and its caller keeps what it had.
#ifndef POSTERN_COMMON_PKI_REVOCATIONS_H_
#define POSTERN_COMMON_PKI_REVOCATIONS_H_

#include <cstddef>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace postern::pki {

enum class Role { kAgent, kOperator };
std::string RoleName(Role role);

class Revocations {
 public:
  // Empty where there is no file. InvalidArgument: a line that is no such line.
  static absl::StatusOr<Revocations> Load(const std::string& path);
  // Revokes what begins up to `now`, for good.
  static absl::Status Add(const std::string& path, Role role, const std::string& name,
                          absl::Time now);

  // The last second of which certificates are revoked; InfinitePast for none.
  absl::Time RevokedUntil(Role role, const std::string& name) const;
  // Names of which certificates were revoked.
  size_t Count(Role role) const;

 private:
  absl::flat_hash_map<std::string, absl::Time> until_;  // by "agent NAME"
};

}  // namespace postern::pki

#endif  // POSTERN_COMMON_PKI_REVOCATIONS_H_
