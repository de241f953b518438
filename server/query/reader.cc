// SPDX-License-Identifier: Apache-2.0
#include "server/query/reader.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "common/status.h"

namespace postern::server {

absl::StatusOr<Reader> Reader::Of(std::shared_ptr<const Bearer> bearer) {
  if (bearer == nullptr || bearer->role != pki::Role::kOperator) {
    return absl::PermissionDeniedError("only operators read");
  }
  return Reader(std::move(bearer));
}

bool Reader::MayRead(const std::string& host) const {
  return bearer_ == nullptr || bearer_->MayUse(host);
}

absl::Status Reader::Restrict(EventStore& store, EventFilter& filter) const {
  if (bearer_ == nullptr || bearer_->hosts.empty()) return absl::OkStatus();
  for (const std::string& host : filter.hosts) {
    if (MayRead(host)) continue;
    return absl::PermissionDeniedError(
        absl::StrCat(bearer_->Title(), " may not read of host ", host));
  }
  if (!filter.hosts.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::vector<v1::Host> hosts, store.Hosts());
  for (const v1::Host& host : hosts) {
    if (MayRead(host.host())) filter.hosts.push_back(host.host());
  }
  // To a store no host means all of them.
  if (!filter.hosts.empty()) return absl::OkStatus();
  return absl::PermissionDeniedError(
      absl::StrCat("no host that ", bearer_->Title(), " may read of has reported here"));
}

}  // namespace postern::server
