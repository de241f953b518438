// SPDX-License-Identifier: Apache-2.0
#include "server/trust/peers.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace postern::server {

void Peers::Add(int fd, std::shared_ptr<const Bearer> bearer) {
  MutexLock lock(&mutex_);
  bearers_[absl::StrCat("fd:", fd)] = std::move(bearer);
}

void Peers::Remove(int fd, const std::shared_ptr<const Bearer>& bearer) {
  MutexLock lock(&mutex_);
  const auto found = bearers_.find(absl::StrCat("fd:", fd));
  if (found != bearers_.end() && found->second == bearer) bearers_.erase(found);
}

std::shared_ptr<const Bearer> Peers::Find(const std::string& peer) const {
  MutexLock lock(&mutex_);
  const auto found = bearers_.find(peer);
  return found == bearers_.end() ? nullptr : found->second;
}

}  // namespace postern::server
