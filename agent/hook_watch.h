// SPDX-License-Identifier: Apache-2.0
// Follows what is attached to our hooks, and tells once of each change. Owned by
// one thread.
#ifndef POSTERN_AGENT_HOOK_WATCH_H_
#define POSTERN_AGENT_HOOK_WATCH_H_

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "agent/sensor/sensor.h"

namespace postern::agent {

class HookWatch {
 public:
  // `record` gets what belongs among the events too. The sensor outlives this.
  HookWatch(const sensor::Sensor& sensor, std::function<void(const std::string&)> record)
      : sensor_(sensor), record_(std::move(record)) {}

  void Look();

  // What the last look found.
  const std::vector<sensor::HookState>& hooks() const { return hooks_; }
  // A hook that the verdict cannot do without, and policies in force that no agent
  // watches: a line each.
  std::vector<std::string> Problems() const;

 private:
  void TellOfLostAndFound();
  void TellOfOthers();

  const sensor::Sensor& sensor_;
  const std::function<void(const std::string&)> record_;
  std::vector<sensor::HookState> hooks_;
  std::map<std::string, bool> attached_;  // by name
  std::set<std::string> told_;            // of others, lines that hold
};

}  // namespace postern::agent

#endif  // POSTERN_AGENT_HOOK_WATCH_H_
