// SPDX-License-Identifier: Apache-2.0
#include "agent/eventlog/event_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <syslog.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include <cerrno>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/event_json.h"
#include "common/status.h"
#include "common/unique_fd.h"

namespace postern::eventlog {
namespace {

class NoLog : public EventLog {
 public:
  absl::Status Write(const v1::Event& /*event*/) override { return absl::OkStatus(); }
};

absl::Status WriteAll(int fd, absl::string_view line, absl::string_view name) {
  while (!line.empty()) {
    const ssize_t written = write(fd, line.data(), line.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return ErrnoStatus(errno, absl::StrCat("writing events to ", name));
    line.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

class StderrLog : public EventLog {
 public:
  absl::Status Write(const v1::Event& event) override {
    return WriteAll(STDERR_FILENO, absl::StrCat(EventToJson(event), "\n"), "standard error");
  }
};

class FileLog : public EventLog {
 public:
  explicit FileLog(std::string path) : path_(std::move(path)) {}

  absl::Status Write(const v1::Event& event) override {
    if (!file_.valid()) RETURN_IF_ERROR(Reopen());
    // A line that a full disk cut short would take this one with it.
    const absl::string_view end = EndsInALine() ? "" : "\n";
    return WriteAll(file_.get(), absl::StrCat(end, EventToJson(event), "\n"), path_);
  }
  absl::Status Reopen() override {
    // Without waiting for who reads a pipe; on a regular file that flag means nothing.
    UniqueFd file(open(path_.c_str(),
                       O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW,
                       0640));
    // ENXIO: a socket; ELOOP: a link.
    if (!file.valid() && (errno == ENXIO || errno == ELOOP)) return NotRegular();
    if (!file.valid()) return ErrnoStatus(errno, absl::StrCat("events file ", path_));
    struct stat state = {};
    if (fstat(file.get(), &state) != 0) {
      return ErrnoStatus(errno, absl::StrCat("events file ", path_));
    }
    if (!S_ISREG(state.st_mode)) return NotRegular();
    file_ = std::move(file);
    return absl::OkStatus();
  }

 private:
  // Or is empty.
  bool EndsInALine() const {
    struct stat state = {};
    char last = '\n';
    return fstat(file_.get(), &state) != 0 ||
           pread(file_.get(), &last, 1, state.st_size - 1) != 1 || last == '\n';
  }
  absl::Status NotRegular() const {
    return absl::FailedPreconditionError(absl::StrCat(
        "events file ", path_, " is not a regular file: name one, or stderr, journal or none"));
  }

  std::string path_;
  UniqueFd file_;
};

// Fields are known to journalctl: `journalctl POSTERN_VERDICT=denied -o cat`.
class JournalLog : public EventLog {
 public:
  absl::Status Write(const v1::Event& event) override {
    const bool alarming = event.verdict() == v1::Event::DENIED ||
                          event.verdict() == v1::Event::WOULD_DENY ||
                          event.kind() == v1::Event::GAP || event.kind() == v1::Event::CANARY;
    const std::vector<std::string> fields = {
        absl::StrCat("MESSAGE=", EventToJson(event)),
        absl::StrCat("PRIORITY=", alarming ? LOG_WARNING : LOG_INFO),
        "SYSLOG_IDENTIFIER=postern",
        absl::StrCat("POSTERN_KIND=", KindName(event.kind())),
        absl::StrCat("POSTERN_VERDICT=", VerdictName(event.verdict())),
        absl::StrCat("POSTERN_USER=", event.user()),
        absl::StrCat("POSTERN_EXE=", event.exe()),
        absl::StrCat("POSTERN_RULE=", event.rule()),
    };
    std::vector<iovec> parts;
    for (const std::string& field : fields) {
      parts.push_back({const_cast<char*>(field.data()), field.size()});
    }
    const int sent = sd_journal_sendv(parts.data(), static_cast<int>(parts.size()));
    return sent == 0 ? absl::OkStatus() : ErrnoStatus(-sent, "writing events to the journal");
  }
};

}  // namespace

std::unique_ptr<EventLog> EventLog::Unopened(const std::string& target) {
  if (target == "none") return std::make_unique<NoLog>();
  if (target == "stderr") return std::make_unique<StderrLog>();
  if (target == "journal") return std::make_unique<JournalLog>();
  return std::make_unique<FileLog>(target);
}

absl::StatusOr<std::unique_ptr<EventLog>> EventLog::Create(const std::string& target) {
  std::unique_ptr<EventLog> log = Unopened(target);
  RETURN_IF_ERROR(log->Reopen());
  return log;
}

}  // namespace postern::eventlog
