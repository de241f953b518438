// SPDX-License-Identifier: Apache-2.0
// Whatever breaks between a connect and the collector's answers: every attempt in the
// books of those who made it is on record once, or told of as missing.
#ifndef POSTERN_TESTS_E2E_FAULTS_H_
#define POSTERN_TESTS_E2E_FAULTS_H_

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <random>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/support/lab/callers.h"
#include "tests/support/lab/lab.h"

namespace postern::lab {

namespace fs = std::filesystem;
using nlohmann::json;

inline bool Full() { return getenv("POSTERN_FULL") != nullptr; }
// In --full as the issue asks for, else what a change has time for.
inline int Rounds() { return Full() ? 200 : 20; }

class Faults : public Lab {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(Lab::SetUp());
    if (IsSkipped()) return;
    seed_ = std::random_device()();
    random_.seed(seed_);
    // To be seen again by whoever looks for what broke.
    std::cout << "seed " << seed_ << "\n";
    mailer_ = root() + "/mailer";
    fs::copy_file(Program("caller"), mailer_);
    Configure("");
  }

  void TearDown() override {
    callers_.reset();
    Lab::TearDown();
  }

  void Configure(const std::string& collector_address) {
    AgentConfig config;
    config.mode = "enforce";
    config.rules = absl::StrCat("  - name: mailer\n    user: postfix\n    exe: ", mailer_,
                                "\n    started_as: root\n    action: allow\n");
    config.collector_address = collector_address;
    postern().Configure(config);
  }

  void StartBoth() {
    ASSERT_NO_FATAL_FAILURE(postern().StartCollector());
    ASSERT_NO_FATAL_FAILURE(postern().StartAgent());
    postern().ExpectComplete();
  }

  // Some alone, whose attempts are coalesced, and some with a process for each.
  void StartCallers() {
    callers_ = std::make_unique<Callers>(root() + "/books", Program("caller"));
    const uid_t postfix = UidOf("postfix");
    const uid_t web = UidOf("www-data");
    const std::string other = Program("caller");
    const std::string& v4 = internet().v4();
    for (const Caller& caller :
         {Caller{"mailer", true, postfix, 150, mailer_, true, false, v4, 25},
          Caller{"mailer, a process each", true, postfix, 40, mailer_, true, true, v4, 587},
          Caller{"www-data", false, web, 150, other, false, false, v4, 25},
          Caller{"www-data, a process each", false, web, 60, other, false, true, v4, 587}}) {
      ASSERT_NO_FATAL_FAILURE(callers_->Start(caller));
    }
    callers_->AwaitEach(5);
  }

  // A random point in what goes on.
  void Meanwhile(size_t most) {
    callers_->AwaitAll(std::uniform_int_distribution<size_t>(1, most)(random_));
  }
  bool Chance() { return std::bernoulli_distribution()(random_); }

  // Ends the callers and compares their books with the record.
  void ExpectBooksOnRecord() {
    callers_->Stop();
    callers_->ExpectNoWrongVerdict();
    callers_->ExpectOnRecord(postern());
  }

  void FlipBits(const std::string& path, int count) {
    std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
    const auto size = fs::file_size(path);
    ASSERT_GT(size, 0u);
    for (int i = 0; i < count; ++i) {
      const auto at = static_cast<std::streamoff>(
          std::uniform_int_distribution<uintmax_t>(0, size - 1)(random_));
      file.seekg(at);
      const int byte = file.get();
      file.seekp(at);
      file.put(static_cast<char>(byte ^ (1 << std::uniform_int_distribution<int>(0, 7)(random_))));
    }
  }

  void RemoveStore() {
    for (const char* part : {"", "-wal", "-shm", ".d"}) fs::remove_all(postern().store() + part);
  }
  // The catalog and its partitions; of a collector that is stopped.
  static void CopyStore(const std::string& from, const std::string& to) {
    fs::copy_file(from, to, fs::copy_options::overwrite_existing);
    fs::remove_all(to + ".d");
    fs::copy(from + ".d", to + ".d");
  }

  uint64_t Spooled() {
    return postern().Status().value("spool", json::object()).value("events", uint64_t{0});
  }

  // Attempts, whatever somebody did to the clock.
  uint64_t Recorded() {
    uint64_t sum = 0;
    const Answer answer = postern().Ask({"query", "--since", "-7d", "--group-by", "verdict"});
    for (const json& line : answer.lines) {
      if (line.value("kind", "") == "group") sum += line.value("count", uint64_t{0});
    }
    return sum;
  }

  uint32_t seed_ = 0;
  std::mt19937 random_;
  std::string mailer_;
  std::unique_ptr<Callers> callers_;
};

}  // namespace postern::lab

#endif  // POSTERN_TESTS_E2E_FAULTS_H_
