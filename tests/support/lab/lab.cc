// SPDX-License-Identifier: Apache-2.0
#include "tests/support/lab/lab.h"

#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <sys/file.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <iostream>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace postern::lab {
namespace {

namespace fs = std::filesystem;

constexpr char kLock[] = "/run/lock/postern-e2e.lock";
constexpr char kFolders[] = "/var/lib";
constexpr char kPins[] = "/sys/fs/bpf";
constexpr char kPrefix[] = "postern-e2e-";

std::vector<std::string> OfLabs(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename();
    if (absl::StartsWith(name, kPrefix)) names.push_back(name);
  }
  return names;
}

std::string OutputOf(const std::string& command) {
  std::string output;
  if (FILE* pipe = popen(command.c_str(), "re"); pipe != nullptr) {
    for (int byte = fgetc(pipe); byte != EOF; byte = fgetc(pipe)) {
      output.push_back(static_cast<char>(byte));
    }
    pclose(pipe);
  }
  return output;
}

// With the lock held there is no other lab: whatever is there was left behind.
void SweepLeftovers() {
  for (const std::string& name : OfLabs("/run/netns")) {
    for (const auto text :
         absl::StrSplit(OutputOf("ip netns pids " + name), '\n', absl::SkipEmpty())) {
      int pid = 0;
      if (absl::SimpleAtoi(text, &pid)) kill(pid, SIGKILL);
    }
    OutputOf("ip netns delete " + name);
  }
  for (const std::string& name : OfLabs(kPins)) fs::remove_all(absl::StrCat(kPins, "/", name));
  for (const std::string& name : OfLabs(kFolders))
    fs::remove_all(absl::StrCat(kFolders, "/", name));
}

}  // namespace

std::vector<Attempt> ParseAttempts(const std::string& output) {
  std::vector<Attempt> attempts;
  for (const auto line : absl::StrSplit(output, '\n', absl::SkipEmpty())) {
    Attempt attempt;
    for (const auto word : absl::StrSplit(line, ' ', absl::SkipEmpty())) {
      const std::pair<std::string, std::string> field =
          absl::StrSplit(word, absl::MaxSplits('=', 1));
      attempt.fields.insert(field);
    }
    if (attempt.fields.count("result") == 0) continue;
    attempt.result = attempt.fields["result"];
    if (!absl::SimpleAtoi(attempt.fields["pid"], &attempt.pid)) attempt.pid = -1;
    attempts.push_back(attempt);
  }
  return attempts;
}

uid_t UidOf(const std::string& user) {
  const passwd* entry = getpwnam(user.c_str());
  EXPECT_NE(entry, nullptr) << "no user " << user;
  return entry != nullptr ? entry->pw_uid : 65534;
}

void Lab::TakeLock() {
  lock_.reset(open(kLock, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  ASSERT_TRUE(lock_.valid()) << kLock << ": " << strerror(errno);
  ASSERT_TRUE(
      Eventually([&] { return flock(lock_.get(), LOCK_EX | LOCK_NB) == 0; }, absl::Minutes(10)))
      << "another lab holds " << kLock;
}

void Lab::SetUp() {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  ASSERT_NO_FATAL_FAILURE(TakeLock());
  SweepLeftovers();
  const std::string name = absl::StrCat(kPrefix, getpid());
  const fs::path build = fs::read_symlink("/proc/self/exe").parent_path().parent_path();
  root_ = absl::StrCat(kFolders, "/", name);
  fs::create_directory(root_);
  fs::copy(build / "tests" / "attacks", root_ + "/attacks");
  internet_ = std::make_unique<Internet>(root_ + "/internet");
  postern_ =
      std::make_unique<Postern>(root_ + "/postern", build / "bin", absl::StrCat(kPins, "/", name));
}

void Lab::TearDown() {
  if (root_.empty()) return;
  if (HasFailure() && postern_ != nullptr) {
    std::cerr << "posternd said:\n"
              << postern_->agent_log() << "postern-collector said:\n"
              << postern_->collector_log();
    if (postfix_ != nullptr) std::cerr << "Postfix said:\n" << postfix_->Log();
  }
  php_.reset();
  postfix_.reset();
  postern_.reset();
  internet_.reset();
  fs::remove_all(root_);
}

void Lab::StartPostern(const std::string& mode, const std::string& rules) {
  AgentConfig config;
  config.mode = mode;
  config.rules = rules.empty() ? DefaultRules(smtp()) : rules;
  postern_->Configure(config);
  ASSERT_NO_FATAL_FAILURE(postern_->StartCollector());
  ASSERT_NO_FATAL_FAILURE(postern_->StartAgent());
}

void Lab::StartPostfix(const std::string& services) {
  postfix_ = std::make_unique<Postfix>(root_ + "/postfix", *internet_, daemons_, services);
}

void Lab::StartPhp() { php_ = std::make_unique<PhpFpm>(root_ + "/php", Program("shell.php")); }

void Lab::UseCopyOfPostfix() {
  const std::string copy = root_ + "/postfix-daemons";
  fs::copy(daemons_, copy, fs::copy_options::recursive | fs::copy_options::copy_symlinks);
  daemons_ = copy;
}

std::unique_ptr<Process> Lab::Start(const std::vector<std::string>& command,
                                    const Process::Options& options) {
  return Process::Start(command, options);
}

std::vector<Attempt> Lab::Attack(const std::vector<std::string>& command,
                                 const Process::Options& options) {
  auto process = Start(command, options);
  EXPECT_EQ(process->Wait(absl::Minutes(2)).value_or(-1), 0)
      << absl::StrJoin(command, " ") << ": " << process->Error();
  return ParseAttempts(process->Output());
}

Attempt Lab::AttackOnce(const std::vector<std::string>& command, const Process::Options& options) {
  const std::vector<Attempt> attempts = Attack(command, options);
  EXPECT_EQ(attempts.size(), 1u) << absl::StrJoin(command, " ");
  return attempts.empty() ? Attempt() : attempts[0];
}

Attempt Lab::Rogue() {
  return AttackOnce({Program("connect"), internet_->v4(), "25"}, {.uid = UidOf("www-data")});
}

void Lab::Fence() {
  const Attempt denied = Rogue();
  const Attempt allowed = AttackOnce({Program("connect"), internet_->own_v4(), "465"});
  postern_->AwaitPid(denied.pid);
  postern_->AwaitPid(allowed.pid);
}

}  // namespace postern::lab
