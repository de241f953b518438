// SPDX-License-Identifier: Apache-2.0
#include "agent/enrich/enricher.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "agent/enrich/cgroup_names.h"
#include "agent/enrich/holder_args.h"
#include "agent/enrich/script.h"
#include "agent/enrich/secrets.h"
#include "common/event_kind.h"

namespace postern::enrich {
namespace {

std::optional<CgroupPaths> OpenCgroups(const std::string& cgroup,
                                       std::optional<MountTable>& mounts) {
  std::string point = cgroup == "auto" ? "" : cgroup;
  if (point.empty() && mounts.has_value()) {
    for (const Mount& mount : mounts->mounts()) {
      if (mount.type == "cgroup2" && mount.root == "/") {
        point = mount.point;
        break;
      }
    }
  }
  if (point.empty()) return std::nullopt;
  absl::StatusOr<CgroupPaths> paths = CgroupPaths::Open(point);
  if (!paths.ok()) return std::nullopt;
  return *std::move(paths);
}

// Two come each minute and are kept as long as all else: what they are is known.
void KeepProofAlone(v1::Event& event) {
  event.clear_args();
  event.clear_args_cut_at();
  event.clear_args_omitted_bytes();
  event.clear_ancestors();
  event.clear_ancestors_omitted();
  event.clear_exe_file();
  event.clear_exec_time_ns();
}

}  // namespace

Enricher::Enricher(HostIdentity identity, RuleName rule_name, std::optional<MountTable> mounts,
                   std::optional<CgroupPaths> cgroups, UserNames users)
    : identity_(std::move(identity)),
      rule_name_(std::move(rule_name)),
      mounts_(std::move(mounts)),
      cgroups_(std::move(cgroups)),
      users_(std::move(users)) {}

Enricher Enricher::ForThisHost(HostIdentity identity, RuleName rule_name,
                               const std::string& cgroup) {
  std::optional<MountTable> mounts;
  if (auto opened = MountTable::Open(); opened.ok()) mounts = *std::move(opened);
  std::optional<CgroupPaths> cgroups = OpenCgroups(cgroup, mounts);
  return Enricher(std::move(identity), std::move(rule_name), std::move(mounts), std::move(cgroups),
                  UserNames());
}

void Enricher::Stamp(v1::Event& event) const {
  event.set_host(identity_.host);
  event.set_agent(identity_.agent);
  event.set_boot(identity_.boot);
}

void Enricher::Enrich(uint16_t rule, v1::Event& event) {
  NameVerdict(rule, event);
  NameCgroup(event);
  PlaceBinary(event);
  if (event.kind() == v1::Event::CANARY) return KeepProofAlone(event);
  AddHolderArgs(event);
  MaskSecrets(event);
  // From what is shown, so that it tells no more, also where the kernel read it before.
  std::string script = ScriptFromArgs(event);
  const bool masked = absl::StrContains(script, kMask);
  if (!event.script().empty() && !masked) return;
  event.set_script(script == kMask ? "" : std::move(script));
}

void Enricher::EnrichRepeats(uint16_t rule, v1::Event& event) { NameVerdict(rule, event); }

void Enricher::NameVerdict(uint16_t rule, v1::Event& event) {
  Stamp(event);
  if (HasRule(event)) event.set_rule(rule_name_(event.generation(), rule));
  if (event.has_uid()) event.set_user(users_.Name(event.uid()));
}

void Enricher::NameCgroup(v1::Event& event) {
  if (!cgroups_.has_value() || !event.has_cgroup_id()) return;
  event.set_cgroup(cgroups_->Path(event.cgroup_id()));
  event.set_unit(UnitOf(event.cgroup()));
  event.set_container(ContainerOf(event.cgroup()));
}

void Enricher::PlaceBinary(v1::Event& event) {
  // A path without its beginning, or without a file system, stands nowhere.
  if (!mounts_.has_value() || event.exe_cut() || event.exe().empty() || event.exe()[0] != '/' ||
      !event.has_exe_file()) {
    return;
  }
  const std::vector<Mount>& mounts = mounts_->mounts();
  const std::string& device = event.exe_file().device();
  const std::optional<std::string> path = HostPath(mounts, device, event.exe());
  // As it stands it would name another file of this host.
  event.set_exe(path.has_value() ? *path : absl::StrCat("[", device, "]", event.exe()));
}

void CompleteRepeats(const v1::Event& first, v1::Event& repeats) {
  v1::Event whole = first;
  // Of the first attempt alone.
  whole.clear_last_time_ns();
  whole.clear_repeats();
  whole.clear_socket();
  whole.clear_tid();
  whole.clear_destinations_not_kept();
  if (repeats.destinations_not_kept()) {
    // One binary of one user, but as many processes as there were attempts.
    whole.clear_family();
    whole.clear_destination();
    whole.clear_destination_local();
    if (!repeats.has_pid()) whole.clear_pid();
    whole.clear_network_namespace();
  }
  whole.MergeFrom(repeats);
  repeats = std::move(whole);
}

}  // namespace postern::enrich
