// SPDX-License-Identifier: Apache-2.0
#include "agent/coexist/neighbours.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "common/log.h"
#include "common/steady_clock.h"

namespace postern::coexist {
namespace {

constexpr absl::Duration kFresh = absl::Minutes(1);
// A wait without an end; whoever wants something says so.
constexpr std::chrono::hours kLong(24);

}  // namespace

Neighbours::Neighbours(LookFunction look) : look_(std::move(look)), thread_([this] { Run(); }) {}

Neighbours::~Neighbours() {
  {
    MutexLock lock(&mutex_);
    stop_ = true;
    mutex_.NotifyAll();
  }
  thread_.join();
}

void Neighbours::Look(Subject subject) {
  MutexLock lock(&mutex_);
  subject_ = std::move(subject);
  wanted_ = true;
  mutex_.NotifyAll();
}

void Neighbours::Refresh() {
  MutexLock lock(&mutex_);
  if (SteadyNow() - looked_at_ < kFresh) return;
  wanted_ = true;
  mutex_.NotifyAll();
}

std::vector<std::string> Neighbours::Notes() const {
  MutexLock lock(&mutex_);
  return notes_;
}

void Neighbours::Run() {
  while (true) {
    Subject subject;
    {
      MutexLock lock(&mutex_);
      const auto due = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return wanted_ || stop_; };
      while (!mutex_.AwaitFor(kLong, due)) {
      }
      if (stop_) return;
      wanted_ = false;
      subject = subject_;
    }
    std::vector<std::string> found = look_(subject, stop_);
    if (stop_) return;
    MutexLock lock(&mutex_);
    for (const std::string& note : found) {
      if (std::find(notes_.begin(), notes_.end(), note) == notes_.end()) LogWarning("%s", note);
    }
    notes_ = std::move(found);
    looked_at_ = SteadyNow();
  }
}

}  // namespace postern::coexist
