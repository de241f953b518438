// SPDX-License-Identifier: Apache-2.0
#include "agent/health.h"

#include "common/log.h"

namespace postern::agent {

void Health::Set(Concern concern, const std::string& problem) {
  const auto known = problems_.find(concern);
  if (problem.empty()) {
    if (known == problems_.end()) return;
    LogInfo("this is over: %s", known->second);
    problems_.erase(known);
  } else {
    if (known == problems_.end()) LogError("%s", problem);
    problems_[concern] = problem;
  }
}

void Health::Note(Topic topic, const std::string& note) {
  notes_.erase(topic);
  if (note.empty()) return;
  LogWarning("%s", note);
  notes_[topic] = note;
}

std::vector<std::string> Health::Problems() const {
  std::vector<std::string> problems = config_;
  for (const auto& [concern, problem] : problems_) problems.push_back(problem);
  return problems;
}

std::vector<std::string> Health::Notes() const {
  std::vector<std::string> notes;
  for (const auto& [topic, note] : notes_) notes.push_back(note);
  return notes;
}

}  // namespace postern::agent
