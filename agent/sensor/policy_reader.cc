// SPDX-License-Identifier: Apache-2.0
#include "agent/sensor/policy_reader.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "bpf/abi/state.h"
#include "common/status.h"
#include "common/unique_fd.h"

namespace postern::sensor {
namespace {

// By their bytes, so that each kind of map is compared alike.
using Entries = std::map<std::string, std::string>;

template <typename T>
std::string BytesOf(const T& value) {
  return std::string(reinterpret_cast<const char*>(&value), sizeof(value));
}

template <typename Key, typename Value>
Entries EntriesOf(const std::vector<std::pair<Key, Value>>& pairs) {
  Entries entries;
  // As in the map, the later of two with one key holds.
  for (const auto& [key, value] : pairs) entries[BytesOf(key)] = BytesOf(value);
  return entries;
}

// The whole of the map that `outer` has in that slot.
template <typename Key, typename Value>
absl::StatusOr<Entries> ReadInner(const BpfMap& outer, uint32_t slot, absl::string_view name) {
  ASSIGN_OR_RETURN(const uint32_t id, outer.Get<uint32_t>(slot));
  const UniqueFd fd(bpf_map_get_fd_by_id(id));
  if (!fd.valid()) return ErrnoStatus(errno, absl::StrCat("opening the kernel's map ", name));
  const BpfMap map(fd.get(), name);
  Entries entries;
  Key key = {};
  Value value = {};
  for (bool more = map.NextKey(nullptr, &key); more;) {
    RETURN_IF_ERROR(map.LookUp(&key, &value));
    entries[BytesOf(key)] = BytesOf(value);
    const Key before = key;
    more = map.NextKey(&before, &key);
  }
  return entries;
}

void Compare(absl::string_view name, const Entries& held, const Entries& compiled,
             std::vector<std::string>& differences) {
  size_t unknown = 0, missing = 0, other = 0;
  for (const auto& [key, value] : held) {
    const auto found = compiled.find(key);
    if (found == compiled.end()) {
      ++unknown;
    } else if (found->second != value) {
      ++other;
    }
  }
  for (const auto& [key, value] : compiled) missing += held.count(key) == 0 ? 1 : 0;
  if (unknown + missing + other == 0) return;
  differences.push_back(absl::StrCat("the kernel's map ", name,
                                     " is not what the agent compiled: of ", compiled.size(),
                                     " entries ", missing, " are missing and ", other,
                                     " say something else, and there are ", unknown, " more"));
}

std::vector<uint16_t> PortsIn(const Entries& index) {
  std::vector<uint16_t> ports;
  for (const auto& [bytes, rules] : index) {
    postern_policy_key key;
    memcpy(&key, bytes.data(), sizeof(key));
    if (key.dimension == POSTERN_DIMENSION_PORT) ports.push_back(static_cast<uint16_t>(key.value));
  }
  std::sort(ports.begin(), ports.end());
  return ports;
}

}  // namespace

absl::StatusOr<HeldPolicy> ReadHeldPolicy(const PolicyMaps& maps,
                                          const policy::CompiledPolicy& compiled) {
  ASSIGN_OR_RETURN(const auto current, maps.current.Get<postern_policy_current>(0));
  if (current.generation == 0) {
    return absl::FailedPreconditionError("the kernel holds no policy");
  }
  HeldPolicy held;
  ASSIGN_OR_RETURN(held.header, maps.headers.Get<postern_policy_header>(current.slot));
  for (uint32_t cell = 0; cell < POSTERN_HITS_OF_SLOT; ++cell) {
    ASSIGN_OR_RETURN(held.hits[cell],
                     maps.hits.Get<uint64_t>(current.slot * POSTERN_HITS_OF_SLOT + cell));
  }
  postern_policy_header expected = compiled.header;
  expected.generation = current.generation;
  if (memcmp(&expected, &held.header, sizeof(expected)) != 0) {
    held.differences.push_back(
        "the kernel's header of the policy (mode, actions, limits, sets of rules) is not what the "
        "agent compiled");
  }

  ASSIGN_OR_RETURN(const auto keys, maps.config.Get<postern_config>(0));
  ASSIGN_OR_RETURN(const Entries index, (ReadInner<postern_policy_key, postern_rule_set>(
                                            maps.index, current.slot, "policy_index")));
  held.ports = PortsIn(index);
  Compare("policy_index", index, EntriesOf(IndexEntries(compiled, keys)), held.differences);
  ASSIGN_OR_RETURN(const Entries destinations,
                   (ReadInner<postern_prefix, postern_destination_rules>(
                       maps.destinations, current.slot, "policy_destinations")));
  Compare("policy_destinations", destinations, EntriesOf(compiled.destinations), held.differences);
  ASSIGN_OR_RETURN(const Entries units, (ReadInner<postern_unit_key, postern_rule_set>(
                                            maps.units, current.slot, "policy_units")));
  Compare("policy_units", units, EntriesOf(compiled.units), held.differences);

  auto watched = std::make_unique<postern_watched_ports>();
  const uint32_t only = 0;
  RETURN_IF_ERROR(maps.watched_ports.LookUp(&only, watched.get()));
  if (memcmp(watched.get(), PortBits(compiled.ports).get(), sizeof(*watched)) != 0) {
    held.differences.push_back(
        "the kernel's map watched_ports is not what the agent compiled: other ports are looked at");
  }
  return held;
}

}  // namespace postern::sensor
