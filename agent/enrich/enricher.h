// SPDX-License-Identifier: Apache-2.0
// Adds to an event the names that outlive its process: host, user, rule, unit,
// container, script, and where its binary stands on this host.
//
// Never fails: what cannot be named stays without a name. Owned by one thread.
#ifndef POSTERN_AGENT_ENRICH_ENRICHER_H_
#define POSTERN_AGENT_ENRICH_ENRICHER_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "agent/enrich/cgroup_paths.h"
#include "agent/enrich/host_identity.h"
#include "agent/enrich/mount_table.h"
#include "agent/enrich/user_names.h"
#include "postern/v1/event.pb.h"

namespace postern::enrich {

// Name of rule `rule` in policy `generation`.
using RuleName = std::function<std::string(uint32_t generation, uint16_t rule)>;

class Enricher {
 public:
  Enricher(HostIdentity identity, RuleName rule_name, std::optional<MountTable> mounts,
           std::optional<CgroupPaths> cgroups, UserNames users);
  // With the tables of this machine; those that cannot be opened are left out.
  // `cgroup` is the mount point of cgroup v2, or "auto".
  static Enricher ForThisHost(HostIdentity identity, RuleName rule_name, const std::string& cgroup);

  // All of it, for a whole record.
  void Enrich(uint16_t rule, v1::Event& event);
  // For repeats: what the record itself says. What it does not say comes from the
  // event of its first attempt (CompleteRepeats).
  void EnrichRepeats(uint16_t rule, v1::Event& event);
  // host, agent and boot; for events the agent makes.
  void Stamp(v1::Event& event) const;

  const HostIdentity& identity() const { return identity_; }

 private:
  void NameVerdict(uint16_t rule, v1::Event& event);
  void NameCgroup(v1::Event& event);
  void PlaceBinary(v1::Event& event);

  HostIdentity identity_;
  RuleName rule_name_;
  std::optional<MountTable> mounts_;
  std::optional<CgroupPaths> cgroups_;
  UserNames users_;
};

// Fills `repeats` with what only the whole event of its first attempt has: who it
// was. Its own count, times, sequence, verdict and destination stay.
void CompleteRepeats(const v1::Event& first, v1::Event& repeats);

}  // namespace postern::enrich

#endif  // POSTERN_AGENT_ENRICH_ENRICHER_H_
