// SPDX-License-Identifier: Apache-2.0
// A host made of what a test says, with a Postfix as Debian has it.
#ifndef POSTERN_TESTS_UNIT_AGENT_POLICY_FAKE_HOST_H_
#define POSTERN_TESTS_UNIT_AGENT_POLICY_FAKE_HOST_H_

#include <sys/stat.h>

#include <cstdint>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "agent/policy/host.h"

namespace postern::policy {

class FakeHost : public Host {
 public:
  // Without accounts but root, and without files but "/".
  static FakeHost Bare() {
    FakeHost host;
    host.users = {{"root", 0}};
    host.groups = {{"root", 0}};
    host.Folder("/");
    return host;
  }
  static FakeHost WithPostfix() {
    FakeHost host = Bare();
    host.users.insert({{"postfix", 101}, {"www-data", 33}, {"alice", 1000}});
    host.groups.insert({{"postdrop", 103}, {"mail", 8}});
    for (const char* path : {"/usr", "/usr/lib", "/usr/lib/postfix", "/usr/lib/postfix/sbin",
                             "/usr/sbin", "/usr/bin", "/opt", "/home"}) {
      host.Folder(path);
    }
    host.Program("/usr/lib/postfix/sbin/smtp");
    host.Program("/usr/lib/postfix/sbin/lmtp");
    host.Program("/usr/sbin/dma");
    return host;
  }

  void Folder(const std::string& path, uint32_t owner = 0, mode_t mode = 0755) {
    files[path] = {{S_IFDIR | mode, owner}, ""};
  }
  void Program(const std::string& path, uint32_t owner = 0, mode_t mode = 0755,
               const std::string& content =
                   "\x7f"
                   "ELF") {
    files[path] = {{S_IFREG | mode, owner}, content};
  }
  void Link(const std::string& path, const std::string& target, uint32_t owner = 0) {
    files[path] = {{S_IFLNK | 0777, owner}, target};
  }

  absl::StatusOr<uint32_t> UserId(const std::string& name) const override {
    if (!name_service_error.ok()) return name_service_error;
    return Find(users, name);
  }
  absl::StatusOr<uint32_t> GroupId(const std::string& name) const override {
    return Find(groups, name);
  }
  absl::StatusOr<FileState> Look(const std::string& path) const override {
    if (path == hidden) return absl::PermissionDeniedError("hidden");
    const auto found = files.find(path);
    if (found == files.end()) return absl::NotFoundError(absl::StrCat("no file ", path));
    return found->second.state;
  }
  absl::StatusOr<std::string> ReadLink(const std::string& path) const override {
    const auto found = files.find(path);
    if (found == files.end()) return absl::NotFoundError(path);
    return found->second.content;
  }
  absl::StatusOr<std::string> ReadStart(const std::string& path, size_t bytes) const override {
    const auto found = files.find(path);
    if (found == files.end()) return absl::NotFoundError(path);
    return found->second.content.substr(0, bytes);
  }

  bool IsBeingWritten(const std::string& path) const override { return path == being_written; }

  struct File {
    FileState state;
    std::string content;  // of a link: its target
  };
  std::map<std::string, uint32_t> users;
  std::map<std::string, uint32_t> groups;
  std::map<std::string, File> files;
  std::string hidden;  // may not be looked at
  std::string being_written;
  absl::Status name_service_error;

 private:
  static absl::StatusOr<uint32_t> Find(const std::map<std::string, uint32_t>& ids,
                                       const std::string& name) {
    const auto found = ids.find(name);
    if (found == ids.end()) return absl::NotFoundError(absl::StrCat("no ", name));
    return found->second;
  }
};

}  // namespace postern::policy

#endif  // POSTERN_TESTS_UNIT_AGENT_POLICY_FAKE_HOST_H_
