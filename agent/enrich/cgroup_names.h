// SPDX-License-Identifier: Apache-2.0
// What the path of a cgroup says: unit and container. Pure functions.
//
// Whoever owns a delegated subtree names what is in it; the whole path is in the
// event beside these names for that reason.
#ifndef POSTERN_AGENT_ENRICH_CGROUP_NAMES_H_
#define POSTERN_AGENT_ENRICH_CGROUP_NAMES_H_

#include <string>

#include "absl/strings/string_view.h"

namespace postern::enrich {

// The unit as the system's manager knows it: the first component that is no
// slice; a user's own units are below user@UID.service, and chosen by that user.
// A path of slices alone is the last one's. "" where there is none.
std::string UnitOf(absl::string_view path);

// Twelve digits of the id for Docker, Podman, containerd and CRI-O, as their
// tools show it, the name for LXC and systemd-nspawn; of the innermost one. ""
// where the path tells none.
std::string ContainerOf(absl::string_view path);

}  // namespace postern::enrich

#endif  // POSTERN_AGENT_ENRICH_CGROUP_NAMES_H_
