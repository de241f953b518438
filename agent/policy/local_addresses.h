// SPDX-License-Identifier: Apache-2.0
// The addresses of this host, for `destination: local`. Those of the network
// namespace that the agent runs in; loopback and unspecified need no listing.
#ifndef POSTERN_AGENT_POLICY_LOCAL_ADDRESSES_H_
#define POSTERN_AGENT_POLICY_LOCAL_ADDRESSES_H_

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/unique_fd.h"

namespace postern::policy {

using AddressBytes = std::array<uint8_t, 16>;  // network order; IPv4 as ::ffff:a.b.c.d

// Owned by one thread.
class LocalAddresses {
 public:
  // Listens for changes, then lists: so no change falls between.
  static absl::StatusOr<std::unique_ptr<LocalAddresses>> Create();

  // Readable when an address may have come or gone: then call Refresh().
  int fd() const { return socket_.get(); }

  // Takes the messages that wait and lists anew; true if the list changed. On
  // error the list stays as it was, and the next call lists again.
  absl::StatusOr<bool> Refresh();

  // Sorted, each once.
  const std::vector<AddressBytes>& addresses() const { return addresses_; }

 private:
  explicit LocalAddresses(UniqueFd socket) : socket_(std::move(socket)) {}

  // Whether anything waited: news, or the loss of some (ENOBUFS).
  absl::StatusOr<bool> TakeMessages();

  UniqueFd socket_;
  std::vector<AddressBytes> addresses_;
  bool stale_ = true;
};

}  // namespace postern::policy

#endif  // POSTERN_AGENT_POLICY_LOCAL_ADDRESSES_H_
