// SPDX-License-Identifier: Apache-2.0
#include "agent/enrich/user_names.h"

#include <pwd.h>

#include <cerrno>
#include <vector>

#include "agent/sensor/decoder.h"

namespace postern::enrich {

std::string LookUpUser(uint32_t uid) {
  passwd entry = {};
  passwd* found = nullptr;
  std::vector<char> buffer(4096);
  while (getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found) == ERANGE &&
         buffer.size() < (1 << 20)) {
    buffer.resize(buffer.size() * 2);
  }
  return found == nullptr ? "" : found->pw_name;
}

const std::string& UserNames::Name(uint32_t uid) {
  const absl::Time now = now_();
  const auto known = entries_.find(uid);
  if (known != entries_.end() && now < known->second.until) return known->second.name;
  if (entries_.size() >= kEntries) entries_.clear();
  Entry& entry = entries_[uid];
  entry = {sensor::PrintableText(look_up_(uid)), now + kLifetime};
  return entry.name;
}

}  // namespace postern::enrich
