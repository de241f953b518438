// SPDX-License-Identifier: Apache-2.0
// What is asked of a store, checked and in the store's own terms. Plain data.
#ifndef POSTERN_SERVER_STORE_EVENT_FILTER_H_
#define POSTERN_SERVER_STORE_EVENT_FILTER_H_

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "server/store/address.h"

namespace postern::server {

struct TextMatch {
  std::string text;
  // `text` is how it begins.
  bool prefix = false;
};

// Nanoseconds since the epoch: since <= time < until.
struct TimeWindow {
  int64_t since = std::numeric_limits<int64_t>::min();
  int64_t until = std::numeric_limits<int64_t>::max();
};

// All that are not empty must hold; within one, any.
struct EventFilter {
  TimeWindow window;
  std::vector<std::string> hosts;
  // Names; digits also mean the uid of whoever has no name.
  std::vector<std::string> users;
  std::vector<uint32_t> uids;
  std::vector<TextMatch> exes;
  std::vector<TextMatch> scripts;
  std::vector<AddressRange> destinations;
  std::vector<uint32_t> ports;
  // v1::Event::Verdict.
  std::vector<int> verdicts;
  std::vector<std::string> rules;
  // Canaries that were denied, too.
  bool canaries = false;
  // v1::Event::Kind.
  std::vector<int> kinds;
};

enum class GroupField {
  kHost,
  kUser,
  kUid,
  kExe,
  kScript,
  kDestination,
  kPort,
  kVerdict,
  kRule,
  kUnit,
  kContainer,
  kComm,
};

}  // namespace postern::server

#endif  // POSTERN_SERVER_STORE_EVENT_FILTER_H_
