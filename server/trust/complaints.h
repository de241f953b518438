// SPDX-License-Identifier: Apache-2.0
// Lines in the log that peers can cause at will: of each kind one a minute, and not
// many kinds. For one thread.
#ifndef POSTERN_SERVER_TRUST_COMPLAINTS_H_
#define POSTERN_SERVER_TRUST_COMPLAINTS_H_

#include <string>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/log.h"

namespace postern::server {

class Complaints {
 public:
  // `about`: whom and what, without what changes each time.
  void Say(absl::Time now, const std::string& about, const std::string& line) {
    if (now - minute_began_ >= absl::Minutes(1)) {
      if (unsaid_ > 0) LogWarning("%d more refusals in the last minute were not told", unsaid_);
      minute_began_ = now;
      unsaid_ = 0;
      said_.clear();
    }
    if (said_.size() >= kMaxKinds || !said_.insert(about).second) {
      ++unsaid_;
      return;
    }
    LogWarning("%s", line);
  }

 private:
  static constexpr size_t kMaxKinds = 50;

  absl::Time minute_began_ = absl::InfinitePast();
  int unsaid_ = 0;
  absl::flat_hash_set<std::string> said_;
};

}  // namespace postern::server

#endif  // POSTERN_SERVER_TRUST_COMPLAINTS_H_
