// SPDX-License-Identifier: Apache-2.0
// auditd with a rule on connect(), as those have it who parse its log.
#include <fstream>
#include <memory>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "common/status.h"
#include "tests/bench/command.h"
#include "tests/bench/variants.h"
#include "tests/support/process.h"

namespace postern::bench {
namespace {

// "pid 0" in the answer of `auditctl -s` → "0".
std::string Field(absl::string_view answer, absl::string_view name) {
  for (const absl::string_view line : absl::StrSplit(answer, '\n')) {
    const std::vector<std::string> words = absl::StrSplit(line, ' ');
    if (words.size() >= 2 && words[0] == name) return words[1];
  }
  return "";
}

class AuditRule : public Variant {
 public:
  explicit AuditRule(const Lab& lab) : Variant("auditd rule"), lab_(lab) {}

  absl::Status Up() override {
    ASSIGN_OR_RETURN(const std::string status, Control({"-s"}));
    if (Field(status, "enabled") == "2") {
      return absl::FailedPreconditionError("the audit rules of this machine are locked");
    }
    before_ = status;
    if (Field(status, "pid") == "0") RETURN_IF_ERROR(StartDaemon());
    // As hosts set it that log every connect(); and none may wait for the log.
    RETURN_IF_ERROR(Control({"-b", "8192"}).status());
    RETURN_IF_ERROR(Control({"--backlog_wait_time", "0"}).status());
    RETURN_IF_ERROR(Control({"-e", "1"}).status());
    RETURN_IF_ERROR(Rule("-a"));
    return absl::OkStatus();
  }

  void Down() override {
    if (before_.empty()) return;
    Rule("-d").IgnoreError();
    Control({"-e", Field(before_, "enabled")}).status().IgnoreError();
    if (daemon_ != nullptr) daemon_.reset();
    Control({"-b", Field(before_, "backlog_limit")}).status().IgnoreError();
    Control({"--backlog_wait_time", Field(before_, "backlog_wait_time")}).status().IgnoreError();
    before_.clear();
  }

  bool needs_new_process() const override { return true; }

 private:
  absl::StatusOr<std::string> Control(Arguments arguments) const {
    arguments.insert(arguments.begin(), "auditctl");
    // Rules belong to the whole machine; the kernel hears of them in the
    // namespace that it began with.
    return RunChecked(arguments, lab_.host_netns());
  }

  absl::Status Rule(const std::string& action) const {
    return Control(
               {action, "always,exit", "-F", "arch=b64", "-S", "connect", "-k", "postern-bench"})
        .status();
  }

  absl::Status StartDaemon() {
    ASSIGN_OR_RETURN(const std::string path, RunChecked({"sh", "-c", "command -v auditd"}));
    std::ofstream(lab_.Path("auditd.conf")) << "log_file = " << lab_.Path("audit.log") << "\n"
                                            << "log_format = RAW\n"
                                               "log_group = root\n"
                                               "flush = INCREMENTAL_ASYNC\n"
                                               "freq = 50\n"
                                               "max_log_file = 64\n"
                                               "num_logs = 2\n"
                                               "max_log_file_action = ROTATE\n"
                                               "space_left = 75\n"
                                               "space_left_action = IGNORE\n"
                                               "admin_space_left = 50\n"
                                               "admin_space_left_action = IGNORE\n"
                                               "disk_full_action = IGNORE\n"
                                               "disk_error_action = IGNORE\n";
    RETURN_IF_ERROR(RunChecked({"chmod", "0640", lab_.Path("auditd.conf")}).status());
    daemon_ = support::Process::Start(
        {path.substr(0, path.find('\n')), "-n", "-s", "disable", "-c", lab_.Path("")},
        {.network_namespace = lab_.host_netns()});
    return daemon_->WaitUntil(
        [this] {
          const auto status = Control({"-s"});
          return status.ok() && Field(*status, "pid") != "0";
        },
        absl::Seconds(10));
  }

  const Lab& lab_;
  // What `auditctl -s` said before; empty: nothing to undo.
  std::string before_;
  std::unique_ptr<support::Process> daemon_;
};

}  // namespace

std::unique_ptr<Variant> MakeAuditRule(const Lab& lab) { return std::make_unique<AuditRule>(lab); }

}  // namespace postern::bench
