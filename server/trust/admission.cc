// SPDX-License-Identifier: Apache-2.0
#include "server/trust/admission.h"

#include <arpa/inet.h>
#include <sys/resource.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/log.h"

namespace postern::server {
namespace {

// Of the files that the process may open: three for a connection (its own, and both
// ends of what gRPC is given); the rest is the store's and the unix sockets'.
constexpr rlim_t kFilesOfAConnection = 3;
constexpr rlim_t kFilesOfOthers = 900;
constexpr size_t kFewest = 16;

void Lower(absl::flat_hash_map<std::string, size_t>& counts, const std::string& key) {
  const auto found = counts.find(key);
  if (--found->second == 0) counts.erase(found);
}

}  // namespace

size_t AffordableConnections(size_t wanted) {
  rlimit files = {};
  if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur == RLIM_INFINITY) return wanted;
  const rlim_t spare = files.rlim_cur > kFilesOfOthers ? files.rlim_cur - kFilesOfOthers : 0;
  const size_t most = std::max<size_t>(spare / kFilesOfAConnection, kFewest);
  if (wanted <= most) return wanted;
  LogWarning(
      "only %d connections over TLS at a time, not %d: each takes three files, and %d may "
      "be open; raise LimitNOFILE= (ulimit -n) or lower limits.connections",
      most, wanted, files.rlim_cur);
  return most;
}

std::string SourceOf(const std::string& address) {
  in6_addr bytes = {};
  // Without the interface that stands behind a link's own address.
  if (inet_pton(AF_INET6, address.substr(0, address.find('%')).c_str(), &bytes) != 1) {
    return address;
  }
  std::fill(bytes.s6_addr + 8, bytes.s6_addr + 16, uint8_t{0});
  char text[INET6_ADDRSTRLEN] = {};
  inet_ntop(AF_INET6, &bytes, text, sizeof(text));
  return absl::StrCat(text, "/64");
}

std::string Admission::Refusal(const std::string& source, absl::Time now) {
  if (now - minute_began_ >= absl::Minutes(1)) {
    minute_began_ = now;
    connects_.clear();
  }
  if (Full() && strangers_.empty()) {
    return absl::StrCat("there are ", connections_, " connections; raise limits.connections");
  }
  if (++connects_[source] > kConnectsAMinute) {
    return absl::StrCat("more than ", kConnectsAMinute, " connections in a minute");
  }
  return "";
}

std::optional<Admission::Leaver> Admission::GivesWay(const std::string& source) const {
  const auto here = strangers_of_.find(source);
  if (here != strangers_of_.end() && here->second >= kStrangersOfOneSource) {
    const auto oldest = std::find_if(strangers_.begin(), strangers_.end(),
                                     [&](const auto& one) { return one.second == source; });
    return Leaver{oldest->first, absl::StrCat(kStrangersOfOneSource,
                                              " connections of its address have shown no "
                                              "certificate, it the longest")};
  }
  if (strangers_.empty() || (!Full() && strangers_.size() < kStrangers)) return std::nullopt;
  return Leaver{strangers_.begin()->first, "too many have shown no certificate, it the longest"};
}

void Admission::Enter(uint64_t id, const std::string& source) {
  strangers_.emplace(id, source);
  ++strangers_of_[source];
}

std::string Admission::Refusal(const Bearer& bearer) const {
  const size_t most = of_one_agent_ * (bearer.role == pki::Role::kOperator ? 2 : 1);
  const auto held = held_.find(bearer.Title());
  if (held == held_.end() || held->second < most) return "";
  return absl::StrCat(bearer.Title(), " holds ", most,
                      " connections (limits.connections_per_agent)");
}

void Admission::Identify(uint64_t id, const Bearer& bearer) {
  Leave(id);
  bearers_.emplace(id, bearer.Title());
  ++held_[bearer.Title()];
}

void Admission::Leave(uint64_t id) {
  if (const auto stranger = strangers_.find(id); stranger != strangers_.end()) {
    Lower(strangers_of_, stranger->second);
    strangers_.erase(stranger);
  } else if (const auto bearer = bearers_.find(id); bearer != bearers_.end()) {
    Lower(held_, bearer->second);
    bearers_.erase(bearer);
  }
}

}  // namespace postern::server
