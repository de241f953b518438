// SPDX-License-Identifier: Apache-2.0
// The folder in bpffs that keeps maps and links alive without the agent:
//   FOLDER/v2/maps/NAME   FOLDER/v2/links/NAME
// Whoever can write there can take the enforcement away, so nothing but a folder
// of root's, closed to others, is accepted.
#ifndef POSTERN_AGENT_SENSOR_PIN_FOLDER_H_
#define POSTERN_AGENT_SENSOR_PIN_FOLDER_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/unique_fd.h"

namespace postern::sensor {

class PinFolder {
 public:
  // Makes what is missing, a bpffs on /sys/fs/bpf (0700) included, and locks the
  // folder for as long as this object lives. FailedPrecondition: not ours, or
  // locked by another agent.
  static absl::StatusOr<std::unique_ptr<PinFolder>> Open(const std::string& folder);
  // Removes the pins of this version where they are not to be kept.
  ~PinFolder();
  PinFolder(const PinFolder&) = delete;
  PinFolder& operator=(const PinFolder&) = delete;

  // Whether what is pinned outlives this object; from the beginning it does.
  void Keep() { keep_ = true; }
  void DoNotKeep() { keep_ = false; }

  std::string MapPath(absl::string_view name) const;
  std::string LinkPath(absl::string_view name) const;
  bool HasMap(absl::string_view name) const;
  bool HasLink(absl::string_view name) const;

  // Puts `from` in the place of `to`, both links of this folder, in one step.
  absl::Status RenameLink(absl::string_view from, absl::string_view to) const;
  absl::Status RemoveLink(absl::string_view name) const;

  // What another version of the ABI judged by; once this one does.
  absl::Status RemoveOtherVersions() const;
  // Removes every pin, of every version, and waits until what still ran has stopped.
  absl::Status Clear() const;
  // Clear, and the folder itself.
  absl::Status Remove() const;

 private:
  PinFolder(std::string folder, UniqueFd lock);

  const std::string folder_;
  const std::string versioned_;
  const UniqueFd lock_;
  bool keep_ = true;
};

// Whether an agent in this pid namespace holds the lock of `folder`. Looks without
// touching the lock: an agent that starts right now is not to find it taken.
bool HasAgent(const std::string& folder);

}  // namespace postern::sensor

#endif  // POSTERN_AGENT_SENSOR_PIN_FOLDER_H_
