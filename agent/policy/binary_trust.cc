// SPDX-License-Identifier: Apache-2.0
#include "agent/policy/binary_trust.h"

#include <limits.h>
#include <sys/stat.h>

#include <deque>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"

namespace postern::policy {
namespace {

// MAXSYMLINKS of include/linux/namei.h.
constexpr int kLinksMax = 40;
constexpr mode_t kWritableByOthers = S_IWGRP | S_IWOTH;

void Prepend(absl::string_view path, std::deque<std::string>& pending) {
  const std::vector<absl::string_view> parts = absl::StrSplit(path, '/', absl::SkipEmpty());
  for (auto part = parts.rbegin(); part != parts.rend(); ++part) pending.emplace_front(*part);
}

std::string Parent(const std::string& folder) {
  return folder.empty() ? folder : folder.substr(0, folder.rfind('/'));
}

// The walk of one path; `at_` is a folder without links, "" being the root.
class Walk {
 public:
  Walk(const Host& host, const std::string& path) : host_(host) { Prepend(path, pending_); }

  BinaryFinding Run() {
    if (!Enter("")) return Finish();
    while (!pending_.empty()) {
      const std::string part = std::move(pending_.front());
      pending_.pop_front();
      if (part == ".") continue;
      if (part == "..") {
        at_ = Parent(at_);
        if (!Enter(at_)) return Finish();
        continue;
      }
      if (!Step(absl::StrCat(at_, "/", part))) return Finish();
      if (done_) return Finish();
    }
    Refuse(BinaryState::kUntrusted, "is a folder, not a program");
    return Finish();
  }

 private:
  BinaryFinding Finish() {
    finding_.resolved = at_.empty() ? "/" : at_;
    return std::move(finding_);
  }

  bool Refuse(BinaryState state, std::string problem) {
    finding_.state = state;
    finding_.problem = std::move(problem);
    return false;
  }

  bool RefuseStatus(const absl::Status& status, const std::string& path) {
    if (absl::IsPermissionDenied(status)) {
      return Refuse(BinaryState::kUnseen,
                    absl::StrCat("cannot be examined: no permission to look at ", path));
    }
    if (absl::IsNotFound(status)) {
      return Refuse(BinaryState::kMissing, absl::StrCat("does not exist (", path, ")"));
    }
    return Refuse(BinaryState::kMissing, absl::StrCat("cannot be examined: ", status.message()));
  }

  // Makes `folder` the place from which the next name is looked up.
  bool Enter(const std::string& folder) {
    const std::string shown = folder.empty() ? "/" : folder;
    const auto state = host_.Look(shown);
    if (!state.ok()) return RefuseStatus(state.status(), shown);
    if (state->owner != 0) {
      return Refuse(BinaryState::kUntrusted,
                    absl::StrCat("can be replaced: the folder ", shown, " belongs to uid ",
                                 state->owner, ", not to root"));
    }
    sticky_ = (state->mode & kWritableByOthers) != 0;
    if (sticky_ && (state->mode & S_ISVTX) == 0) {
      return Refuse(BinaryState::kUntrusted, absl::StrCat("can be replaced: the folder ", shown,
                                                          " is writable by others than root"));
    }
    at_ = folder;
    return true;
  }

  bool Step(const std::string& path) {
    if (path.size() >= PATH_MAX) return Refuse(BinaryState::kMissing, "is too long for a path");
    const auto state = host_.Look(path);
    if (!state.ok()) return RefuseStatus(state.status(), path);
    if (S_ISLNK(state->mode)) return Follow(path, *state);
    if (S_ISDIR(state->mode)) return Enter(path);
    if (!pending_.empty()) {
      return Refuse(BinaryState::kMissing, absl::StrCat("does not exist: ", path, " is no folder"));
    }
    at_ = path;
    done_ = true;
    return ExamineFile(path, *state);
  }

  bool Follow(const std::string& path, const FileState& state) {
    if (sticky_ && state.owner != 0) {
      return Refuse(BinaryState::kUntrusted,
                    absl::StrCat("can be replaced: the link ", path, " belongs to uid ",
                                 state.owner, ", not to root"));
    }
    if (++links_ > kLinksMax) {
      return Refuse(BinaryState::kMissing, "leads through too many symbolic links");
    }
    const auto target = host_.ReadLink(path);
    if (!target.ok()) return RefuseStatus(target.status(), path);
    if (target->empty()) return Refuse(BinaryState::kMissing, "leads to an empty link");
    Prepend(*target, pending_);
    return target->front() == '/' ? Enter("") : true;
  }

  bool ExamineFile(const std::string& path, const FileState& state) {
    if (!S_ISREG(state.mode)) return Refuse(BinaryState::kUntrusted, "is not a program's file");
    if (state.owner != 0) {
      return Refuse(BinaryState::kUntrusted,
                    absl::StrCat("belongs to uid ", state.owner, ", not to root"));
    }
    if ((state.mode & kWritableByOthers) != 0) {
      return Refuse(BinaryState::kUntrusted, "is writable by others than root");
    }
    if ((state.mode & (S_IXUSR | S_IXGRP | S_IXOTH)) == 0) {
      return Refuse(BinaryState::kUntrusted, "is not executable");
    }
    if (host_.IsBeingWritten(path)) {
      return Refuse(BinaryState::kUntrusted, "is open for writing");
    }
    const auto start = host_.ReadStart(path, 2);
    if (start.ok() && *start == "#!") {
      return Refuse(BinaryState::kUntrusted,
                    "is a script: what runs is its interpreter, so no process would match");
    }
    return true;
  }

  const Host& host_;
  std::deque<std::string> pending_;
  std::string at_;
  bool sticky_ = false;  // others may write in `at_`, but not replace what is root's
  bool done_ = false;
  int links_ = 0;
  BinaryFinding finding_;
};

}  // namespace

BinaryFinding ExamineBinary(const Host& host, const std::string& path) {
  if (path.find('\0') != std::string::npos) {
    return {BinaryState::kMissing, "does not exist: a path holds no NUL", ""};
  }
  if (path.empty() || path.front() != '/') {
    return {BinaryState::kMissing, "is not an absolute path", ""};
  }
  if (path.back() == '/') return {BinaryState::kUntrusted, "is the path of a folder", ""};
  return Walk(host, path).Run();
}

}  // namespace postern::policy
