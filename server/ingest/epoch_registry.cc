// SPDX-License-Identifier: Apache-2.0
#include "server/ingest/epoch_registry.h"

#include "absl/strings/str_cat.h"

namespace postern::server {

absl::Status EpochRegistry::Claim(const std::string& host, const std::vector<uint64_t>& epochs) {
  absl::MutexLock lock(&mutex_);
  for (const uint64_t epoch : epochs) {
    const auto found = epochs_.find(epoch);
    if (found == epochs_.end()) continue;
    return absl::AlreadyExistsError(
        absl::StrCat("an epoch of host ", host, " is in use by a stream of host ", found->second,
                     "; if the machine was cloned, restart its agent for an epoch of its own"));
  }
  for (const uint64_t epoch : epochs) epochs_.emplace(epoch, host);
  ++streams_[host];
  return absl::OkStatus();
}

void EpochRegistry::Release(const std::string& host, const std::vector<uint64_t>& epochs,
                            absl::FunctionRef<void()> when_last) {
  absl::MutexLock lock(&mutex_);
  for (const uint64_t epoch : epochs) epochs_.erase(epoch);
  const auto found = streams_.find(host);
  if (found == streams_.end() || --found->second > 0) return;
  streams_.erase(found);
  when_last();
}

}  // namespace postern::server
