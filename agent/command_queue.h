// SPDX-License-Identifier: Apache-2.0
// Hands work from other threads to the one that owns the agent, and its answer back.
#ifndef POSTERN_AGENT_COMMAND_QUEUE_H_
#define POSTERN_AGENT_COMMAND_QUEUE_H_

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/mutex.h"

namespace postern::agent {

// Thread-safe.
class CommandQueue {
 public:
  // The owner is away from its queue for as long as the disk keeps it waiting.
  static constexpr absl::Duration kPatience = absl::Seconds(10);

  // `wake` gets the owner to call RunAll() soon.
  explicit CommandQueue(std::function<void()> wake) : wake_(std::move(wake)) {}

  // From any thread but the owner's: waits for `command` to be run there, so long.
  // DeadlineExceeded where the owner does not come, and then it may or may not
  // run later; Unavailable after Close().
  template <typename Answer>
  absl::StatusOr<Answer> Run(std::function<absl::StatusOr<Answer>()> command,
                             absl::Duration patience = kPatience) ABSL_LOCKS_EXCLUDED(mutex_) {
    struct Call {
      Mutex mutex;
      std::optional<absl::StatusOr<Answer>> answer ABSL_GUARDED_BY(mutex);
    };
    const auto call = std::make_shared<Call>();
    const auto answer = [call](absl::StatusOr<Answer> value) {
      MutexLock lock(&call->mutex);
      call->answer.emplace(std::move(value));
      call->mutex.NotifyAll();
    };
    {
      MutexLock lock(&mutex_);
      if (closed_) return Closed();
      waiting_.push_back({[answer, command = std::move(command)] { answer(command()); },
                          [answer] { answer(Closed()); }});
    }
    wake_();
    MutexLock lock(&call->mutex);
    const auto answered = [&call]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(call->mutex) {
      return call->answer.has_value();
    };
    if (!call->mutex.AwaitFor(absl::ToChronoNanoseconds(patience), answered)) {
      return absl::DeadlineExceededError("the agent is busy; see its log");
    }
    return *std::move(call->answer);
  }

  // On the owner's thread: all that waits.
  void RunAll() ABSL_LOCKS_EXCLUDED(mutex_) {
    std::deque<Command> commands;
    {
      MutexLock lock(&mutex_);
      commands.swap(waiting_);
    }
    for (const Command& command : commands) command.run();
  }

  // Who waits is told, and who comes later.
  void Close() ABSL_LOCKS_EXCLUDED(mutex_) {
    std::deque<Command> commands;
    {
      MutexLock lock(&mutex_);
      closed_ = true;
      commands.swap(waiting_);
    }
    for (const Command& command : commands) command.refuse();
  }

 private:
  struct Command {
    std::function<void()> run;
    std::function<void()> refuse;
  };

  static absl::Status Closed() { return absl::UnavailableError("the agent is stopping"); }

  const std::function<void()> wake_;
  Mutex mutex_;
  std::deque<Command> waiting_ ABSL_GUARDED_BY(mutex_);
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace postern::agent

#endif  // POSTERN_AGENT_COMMAND_QUEUE_H_
