// SPDX-License-Identifier: Apache-2.0
#include "tests/support/lab/callers.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <limits>
#include <nlohmann/json.hpp>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "tests/support/lab/files.h"

namespace postern::lab {
namespace {

// Of a line, as caller.c writes it.
constexpr size_t kLineBytes = 24;
// Of a faulty caller that many attempts are told one by one.
constexpr size_t kTold = 10;

}  // namespace

Callers::Callers(const std::string& folder, const std::string& caller)
    : folder_(folder), caller_(caller) {
  std::filesystem::create_directory(folder_);
}

void Callers::Start(const Caller& who) {
  Running running{.who = who, .book = absl::StrCat(folder_, "/", all_.size()), .process = nullptr};
  WriteFile(running.book, "");
  ASSERT_EQ(chmod(running.book.c_str(), 0666), 0) << strerror(errno);
  std::vector<std::string> command = {who.new_process_each ? caller_ : who.program,
                                      who.new_process_each ? "fork" : "loop",
                                      std::to_string(who.uid),
                                      std::to_string(who.per_second),
                                      running.book,
                                      who.address,
                                      std::to_string(who.port)};
  if (who.new_process_each) command.push_back(who.program);
  support::Process::Options options;
  if (!who.started_by_root) options.uid = who.uid;
  running.process = support::Process::Start(command, options);
  all_.push_back(std::move(running));
}

size_t Callers::Running::Attempts() const {
  std::error_code error;
  const auto bytes = std::filesystem::file_size(book, error);
  return error ? 0 : bytes / kLineBytes;
}

std::vector<Callers::Entry> Callers::Running::Read() const {
  std::vector<Entry> entries;
  for (const absl::string_view line : absl::StrSplit(ReadFile(book), '\n', absl::SkipEmpty())) {
    const std::vector<absl::string_view> words = absl::StrSplit(line, ' ', absl::SkipEmpty());
    Entry entry;
    if (words.size() != 2 || !absl::SimpleAtoi(words[0], &entry.time_ns) ||
        !absl::SimpleAtoi(words[1], &entry.error)) {
      ADD_FAILURE() << book << " has the line: " << line;
      continue;
    }
    entries.push_back(entry);
  }
  return entries;
}

void Callers::AwaitEach(size_t count) {
  std::vector<size_t> until;
  for (const Running& one : all_) until.push_back(one.Attempts() + count);
  for (size_t i = 0; i < all_.size(); ++i) {
    EXPECT_TRUE(support::Eventually([&] { return all_[i].Attempts() >= until[i]; }))
        << all_[i].who.name << " stands still at " << all_[i].Attempts()
        << " attempts: " << all_[i].process->Error();
  }
}

void Callers::AwaitAll(size_t count) {
  const size_t until = Attempts() + count;
  EXPECT_TRUE(support::Eventually([&] { return Attempts() >= until; }))
      << "all stand still at " << Attempts() << " attempts";
}

void Callers::Stop() {
  for (Running& one : all_) one.process->Signal(SIGTERM);
  for (Running& one : all_) {
    EXPECT_EQ(one.process->Wait().value_or(-1), 0) << one.who.name << ": " << one.process->Error();
  }
}

void Callers::Remark(const std::string& what) {
  remarks_.emplace_back(absl::ToUnixNanos(absl::Now()), what);
}

std::string Callers::Around(int64_t time_ns) const {
  std::string before = "the beginning";
  for (const auto& [time, what] : remarks_) {
    if (time > time_ns) break;
    before = absl::StrCat(what, ", ", (time_ns - time) / 1'000'000, " ms before");
  }
  return before;
}

void Callers::ExpectNoWrongVerdict() const {
  for (const Running& one : all_) {
    size_t wrong = 0;
    for (const Entry& entry : one.Read()) {
      EXPECT_NE(entry.error, 255) << one.who.name << ": its program could not be started";
      if ((entry.error != EPERM) == one.who.allowed) continue;
      if (++wrong <= kTold) {
        ADD_FAILURE() << one.who.name << (one.who.allowed ? " was denied" : " got through") << " ("
                      << (entry.error == 0 ? "connected" : strerror(entry.error)) << ") at "
                      << absl::FormatTime(absl::FromUnixNanos(entry.time_ns)) << ", after "
                      << Around(entry.time_ns);
      }
    }
    EXPECT_EQ(wrong, 0u) << one.who.name;
  }
}

uint64_t Callers::ExpectOnRecord(Postern& postern) const {
  const auto books = Sums();
  const auto sum = [](const auto& counts) {
    uint64_t all = 0;
    for (const auto& [who, count] : counts) all += count;
    return all;
  };
  std::map<std::pair<uid_t, bool>, uint64_t> recorded;
  uint64_t missing = 0;
  bool uncounted = false;
  Answer answer;
  const bool told = support::Eventually(
      [&] {
        // Whatever somebody did to the clock.
        answer = postern.Ask({"query", "--since", "-7d", "--group-by", "uid,verdict"});
        recorded.clear();
        uncounted = false;
        for (const nlohmann::json& line : answer.lines) {
          const std::string verdict = line.value("verdict", "");
          if (line.value("kind", "") != "group" || verdict.empty()) continue;
          EXPECT_TRUE(verdict == "allowed" || verdict == "denied") << line;
          recorded[{line.value("uid", uid_t{0}), verdict == "allowed"}] +=
              line.value("count", uint64_t{0});
        }
        const nlohmann::json completeness = answer.Completeness();
        if (completeness.is_null()) return false;
        missing = completeness.value("missing", uint64_t{0});
        for (const nlohmann::json& gap : completeness.value("gaps", nlohmann::json::array())) {
          // The others are told of every record, or only until what there is has arrived.
          const std::string reason = gap.value("reason", "");
          uncounted = uncounted || reason == "spool_corrupt" || reason == "elsewhere";
        }
        const nlohmann::json spool = postern.Status().value("spool", nlohmann::json::object());
        return spool.value("events", 1) == 0 &&
               (uncounted || sum(recorded) + missing >= sum(books));
      },
      absl::Minutes(2));
  EXPECT_TRUE(told) << sum(recorded) << " attempts are recorded and " << missing
                    << " said to be missing of " << sum(books) << "; " << answer.error
                    << answer.Completeness() << postern.agent_log();
  for (const auto& [who, count] : recorded) {
    const auto book = books.find(who);
    EXPECT_LE(count, book == books.end() ? 0 : book->second)
        << "uid " << who.first << (who.second ? " allowed" : " denied");
  }
  if (uncounted) {
    EXPECT_LE(sum(recorded) + missing, sum(books));
    EXPECT_FALSE(answer.Completeness().value("complete", true));
  } else {
    EXPECT_EQ(sum(recorded) + missing, sum(books)) << answer.Completeness();
  }
  std::cout << "attempted " << sum(books) << ", recorded " << sum(recorded)
            << ", said to be missing " << missing << (uncounted ? " and an unknown number" : "")
            << "\n";
  return missing;
}

size_t Callers::Attempts() const {
  size_t sum = 0;
  for (const Running& one : all_) sum += one.Attempts();
  return sum;
}

std::map<std::pair<uid_t, bool>, uint64_t> Callers::Sums() const {
  std::map<std::pair<uid_t, bool>, uint64_t> sums;
  for (const Running& one : all_) {
    for (const Entry& entry : one.Read()) ++sums[{one.who.uid, entry.error != EPERM}];
  }
  return sums;
}

absl::Duration Callers::Span() const {
  int64_t first = std::numeric_limits<int64_t>::max();
  int64_t last = 0;
  for (const Running& one : all_) {
    const std::vector<Entry> entries = one.Read();
    if (entries.empty()) continue;
    first = std::min(first, entries.front().time_ns);
    last = std::max(last, entries.back().time_ns);
  }
  return last > first ? absl::Nanoseconds(last - first) : absl::ZeroDuration();
}

std::string Callers::Describe() const {
  std::string text;
  for (const Running& one : all_) {
    std::map<int, size_t> errors;
    for (const Entry& entry : one.Read()) ++errors[entry.error];
    absl::StrAppend(&text, "  ", one.who.name, ":");
    for (const auto& [error, count] : errors) {
      absl::StrAppend(&text, " ", count, " ", error == 0 ? "OK" : strerrorname_np(error));
    }
    absl::StrAppend(&text, "\n");
  }
  return text;
}

}  // namespace postern::lab
