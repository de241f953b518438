// SPDX-License-Identifier: Apache-2.0
// Programs that connect at a pace of their own until they are told to stop, and
// keep books: what came of each attempt, and when (attacks/caller.c).
#ifndef POSTERN_TESTS_SUPPORT_LAB_CALLERS_H_
#define POSTERN_TESTS_SUPPORT_LAB_CALLERS_H_

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "tests/support/lab/postern.h"
#include "tests/support/process.h"

namespace postern::lab {

struct Caller {
  std::string name;      // says why it may or may not
  bool allowed = false;  // what each of its attempts has to find
  uid_t uid = 0;         // that it connects as
  int per_second = 0;
  std::string program;  // that connects
  // Started by root, and becomes `uid` by itself; else `uid` starts it.
  bool started_by_root = false;
  bool new_process_each = false;
  std::string address;
  int port = 25;
};

class Callers {
 public:
  // `folder`: for the books; made here. `caller`: path of the program, or of a copy.
  Callers(const std::string& folder, const std::string& caller);

  void Start(const Caller& who);
  // Until each has made `count` attempts more than it has now.
  void AwaitEach(size_t count);
  // Until all together have made `count` more.
  void AwaitAll(size_t count);
  // Tells all to stop and waits for them.
  void Stop();

  // What happens to the agent, for the words of a failure.
  void Remark(const std::string& what);
  // Expects that no allowed attempt was denied and none of the others got through.
  // Anything but EPERM is through: the sink's answer, ECONNREFUSED, no answer in time.
  void ExpectNoWrongVerdict() const;

  // Against what the collector has: of each user and verdict no more than the books
  // say, and what is less is told of as missing. With what is missing by an unknown
  // number the record may be less, and must say so. Prints what it found, and returns
  // how many are told of as missing.
  uint64_t ExpectOnRecord(Postern& postern) const;

  size_t Attempts() const;
  // By uid and whether it was let through.
  std::map<std::pair<uid_t, bool>, uint64_t> Sums() const;
  // From the first attempt to the last.
  absl::Duration Span() const;
  // A line each.
  std::string Describe() const;

 private:
  struct Entry {
    int64_t time_ns = 0;
    int error = 0;
  };
  struct Running {
    Caller who;
    std::string book;
    std::unique_ptr<support::Process> process;

    size_t Attempts() const;
    std::vector<Entry> Read() const;
  };

  std::string Around(int64_t time_ns) const;

  const std::string folder_;
  const std::string caller_;
  std::vector<Running> all_;
  std::vector<std::pair<int64_t, std::string>> remarks_;
};

}  // namespace postern::lab

#endif  // POSTERN_TESTS_SUPPORT_LAB_CALLERS_H_
