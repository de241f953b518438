// SPDX-License-Identifier: Apache-2.0
// What is wrong with the agent now, and what is not but may surprise: a line each.
// Owned by one thread.
#ifndef POSTERN_AGENT_HEALTH_H_
#define POSTERN_AGENT_HEALTH_H_

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace postern::agent {

// What can be wrong by itself, and mend by itself.
enum class Concern {
  kSpool,
  kEventLog,
  kCounters,
  kAddresses,
  kSockets,
  kUnjudged,
  kCanary,
  kHeldSockets,
  kLoss,
  kCertificate,
  kMetrics,
  kClock
};
// What may surprise.
enum class Topic { kRestart, kReaders };

class Health {
 public:
  // "" where all is well. The log hears when it begins, and when it is over.
  void Set(Concern concern, const std::string& problem);

  // The configuration that was refused; empty where none was. Told by who found it.
  void SetConfigProblems(std::vector<std::string> problems) { config_ = std::move(problems); }

  // "" where there is nothing to say. The log hears it each time.
  void Note(Topic topic, const std::string& note);

  std::vector<std::string> Problems() const;
  std::vector<std::string> Notes() const;

 private:
  std::vector<std::string> config_;
  // None is empty.
  std::map<Concern, std::string> problems_;
  std::map<Topic, std::string> notes_;
};

}  // namespace postern::agent

#endif  // POSTERN_AGENT_HEALTH_H_
