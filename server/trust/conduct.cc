// SPDX-License-Identifier: Apache-2.0
#include "server/trust/conduct.h"

#include <string>

#include "common/log.h"

namespace postern::server {

bool Conduct::Allow(const Bearer& bearer, int points, absl::string_view what) {
  const absl::Time now = now_();
  const std::string title = bearer.Title();
  {
    MutexLock lock(&mutex_);
    Record& record = records_[title];
    if (now < record.out_until) return false;
    if (now - record.minute_began >= kMinute) {
      record.minute_began = now;
      record.points = 0;
    }
    record.points += points;
    if (record.points <= (bearer.role == pki::Role::kAgent ? kAgentPoints : kOperatorPoints)) {
      return true;
    }
    record.out_until = now + kMinute;
    record.points = 0;
    ++changes_;
  }
  LogWarning(
      "%s at %s is cut off for a minute: it came too often, the last time with %s; see what runs "
      "there, or revoke it: postern pki revoke",
      title, bearer.address, what);
  return false;
}

bool Conduct::ShutOut(const Bearer& bearer) const {
  const absl::Time now = now_();
  MutexLock lock(&mutex_);
  const auto found = records_.find(bearer.Title());
  return found != records_.end() && now < found->second.out_until;
}

uint64_t Conduct::changes() const {
  MutexLock lock(&mutex_);
  return changes_;
}

}  // namespace postern::server
