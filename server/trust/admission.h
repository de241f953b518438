// SPDX-License-Identifier: Apache-2.0
// How many connections may be there at a time, of all, of one address and of one
// certificate's name. Knows them by their ids alone, of which a later one is higher.
//
// Who has shown no certificate is a stranger, and never keeps out who has one: where
// there is no room, the oldest stranger gives way, of the same source where that has as
// many as one may have. For one thread.
#ifndef POSTERN_SERVER_TRUST_ADMISSION_H_
#define POSTERN_SERVER_TRUST_ADMISSION_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "server/trust/bearer.h"

namespace postern::server {

// `wanted` connections, or as many as there are files for, with a word to the log.
size_t AffordableConnections(size_t wanted);

// What is counted as one: an address of IPv4, and of IPv6 the 64 bits that stand for a
// network, of which each customer has one at least.
std::string SourceOf(const std::string& address);

class Admission {
 public:
  static constexpr size_t kStrangers = 512;
  static constexpr size_t kStrangersOfOneSource = 64;
  // In a minute: a thousand agents behind one router.
  static constexpr int kConnectsAMinute = 1200;

  // `of_one_agent`: connections of one name; an operator has twice as many.
  Admission(size_t connections, size_t of_one_agent)
      : connections_(connections), of_one_agent_(of_one_agent) {}

  // Why one more from `source` may not come in; "" where it may.
  std::string Refusal(const std::string& source, absl::Time now);
  struct Leaver {
    uint64_t id;
    std::string why;
  };
  // The stranger that has to leave before it does.
  std::optional<Leaver> GivesWay(const std::string& source) const;
  void Enter(uint64_t id, const std::string& source);

  // Why `bearer` may not have one more connection; "" where it may.
  std::string Refusal(const Bearer& bearer) const;
  // It has proven to be `bearer`, which has a role.
  void Identify(uint64_t id, const Bearer& bearer);
  void Leave(uint64_t id);

 private:
  bool Full() const { return strangers_.size() + bearers_.size() >= connections_; }

  const size_t connections_;
  const size_t of_one_agent_;
  absl::Time minute_began_ = absl::InfinitePast();
  absl::flat_hash_map<std::string, int> connects_;  // of this minute, by source
  // By id: the source of each stranger, and the title of each other.
  std::map<uint64_t, std::string> strangers_;
  absl::flat_hash_map<uint64_t, std::string> bearers_;
  // How many of them, by source and by title.
  absl::flat_hash_map<std::string, size_t> strangers_of_;
  absl::flat_hash_map<std::string, size_t> held_;
};

}  // namespace postern::server

#endif  // POSTERN_SERVER_TRUST_ADMISSION_H_
