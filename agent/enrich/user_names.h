// SPDX-License-Identifier: Apache-2.0
// Names of uids, as the host's user database has them. Owned by one thread.
#ifndef POSTERN_AGENT_ENRICH_USER_NAMES_H_
#define POSTERN_AGENT_ENRICH_USER_NAMES_H_

#include <cstdint>
#include <functional>
#include <string>
#include <unordered_map>

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace postern::enrich {

// "" where the uid has no name. Asks the system, and so may wait for a directory
// server where nsswitch.conf names one.
std::string LookUpUser(uint32_t uid);

class UserNames {
 public:
  static constexpr absl::Duration kLifetime = absl::Minutes(1);
  // A host with more users than this in a minute asks again sooner.
  static constexpr size_t kEntries = 4096;

  explicit UserNames(std::function<std::string(uint32_t)> look_up = LookUpUser,
                     std::function<absl::Time()> now = absl::Now)
      : look_up_(std::move(look_up)), now_(std::move(now)) {}

  // Printable; "" where the uid has no name.
  const std::string& Name(uint32_t uid);

 private:
  struct Entry {
    std::string name;
    absl::Time until;
  };

  std::function<std::string(uint32_t)> look_up_;
  std::function<absl::Time()> now_;
  std::unordered_map<uint32_t, Entry> entries_;
};

}  // namespace postern::enrich

#endif  // POSTERN_AGENT_ENRICH_USER_NAMES_H_
