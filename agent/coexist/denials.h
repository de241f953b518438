// SPDX-License-Identifier: Apache-2.0
// What SELinux and AppArmor denied Postern's own programs, or others on its files,
// as the audit log and the kernel's log tell it.
#ifndef POSTERN_AGENT_COEXIST_DENIALS_H_
#define POSTERN_AGENT_COEXIST_DENIALS_H_

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace postern::coexist {

class Denials {
 public:
  // `own`: absolute paths of files and folders of ours. Older ones than `since` are
  // passed over: what caused them may be mended.
  Denials(std::vector<std::string> own, absl::Time since) : own_(std::move(own)), since_(since) {}

  // `source`: where the line was found.
  void AddLine(absl::string_view line, const std::string& source);
  // A line for each way of being denied, with how often and when last.
  std::vector<std::string> Notes() const;

 private:
  struct Denial {
    size_t times = 0;
    absl::Time last = absl::InfinitePast();
    std::string source;
    bool by_us = false;
  };
  static constexpr size_t kMost = 8;
  static constexpr size_t kMostSeen = 10000;

  bool IsOurs(absl::string_view path) const;

  const std::vector<std::string> own_;
  const absl::Time since_;
  std::map<std::string, Denial> found_;  // by what was denied to whom, in words
  std::set<std::string> seen_;           // audit numbers: two logs may have the same
  bool more_ = false;
};

}  // namespace postern::coexist

#endif  // POSTERN_AGENT_COEXIST_DENIALS_H_
