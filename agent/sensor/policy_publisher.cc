// SPDX-License-Identifier: Apache-2.0
#include "agent/sensor/policy_publisher.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "bpf/abi/policy.h"
#include "bpf/abi/siphash.h"
#include "bpf/abi/state.h"
#include "common/status.h"
#include "common/unique_fd.h"

namespace postern::sensor {
namespace {

using Ports = postern_watched_ports;

uint32_t AtLeastOne(size_t entries) { return static_cast<uint32_t>(std::max<size_t>(entries, 1)); }

// As path_hash of bpf/helpers/siphash.h does.
postern_path_id HashOfPath(const std::string& path, const postern_config& keys) {
  siphash state = siphash_begin(keys.path_key[0], keys.path_key[1]);
  for (size_t at = 0; at < path.size(); at += sizeof(uint64_t)) {
    uint64_t word = 0;
    std::memcpy(&word, path.data() + at, std::min(sizeof(word), path.size() - at));
    siphash_word(&state, word);
  }
  return siphash_end(state, path.size());
}

absl::StatusOr<UniqueFd> BuildIndex(const policy::CompiledPolicy& policy,
                                    const postern_config& keys) {
  ASSIGN_OR_RETURN(
      UniqueFd fd,
      CreateBpfMap(
          BPF_MAP_TYPE_HASH, "policy_index", sizeof(postern_policy_key), sizeof(postern_rule_set),
          AtLeastOne(policy.index.size() + policy.scripts.size() + policy.ports.size()), 0));
  const BpfMap map(fd.get(), "policy_index");
  for (const auto& [key, rules] : IndexEntries(policy, keys)) {
    RETURN_IF_ERROR(map.Update(&key, &rules));
  }
  return fd;
}

template <typename Key, typename Value>
absl::StatusOr<UniqueFd> BuildTrie(const char* name,
                                   const std::vector<std::pair<Key, Value>>& entries) {
  ASSIGN_OR_RETURN(UniqueFd fd,
                   CreateBpfMap(BPF_MAP_TYPE_LPM_TRIE, name, sizeof(Key), sizeof(Value),
                                AtLeastOne(entries.size()), BPF_F_NO_PREALLOC));
  const BpfMap map(fd.get(), name);
  for (const auto& [key, value] : entries) RETURN_IF_ERROR(map.Update(&key, &value));
  return fd;
}

}  // namespace

std::unique_ptr<Ports> PortBits(const std::vector<uint16_t>& ports) {
  auto bits = std::make_unique<Ports>();
  for (uint16_t port : ports) bits->word[port / 64] |= uint64_t{1} << (port % 64);
  return bits;
}

std::vector<std::pair<postern_policy_key, postern_rule_set>> IndexEntries(
    const policy::CompiledPolicy& policy, const postern_config& keys) {
  std::vector<std::pair<postern_policy_key, postern_rule_set>> entries;
  // The kernel judges the ports it finds here; most are named by no rule.
  for (uint16_t port : policy.ports) {
    const postern_policy_key key = {.dimension = POSTERN_DIMENSION_PORT, .value = port, .path = {}};
    entries.emplace_back(key, policy.header.any_port);
  }
  for (const auto& [key, rules] : policy.index) {
    const bool unwatched =
        key.dimension == POSTERN_DIMENSION_PORT &&
        std::find(policy.ports.begin(), policy.ports.end(), key.value) == policy.ports.end();
    if (!unwatched) entries.emplace_back(key, rules);
  }
  for (const auto& [path, rules] : policy.scripts) {
    const postern_policy_key key = {
        .dimension = POSTERN_DIMENSION_SCRIPT, .value = 0, .path = HashOfPath(path, keys)};
    entries.emplace_back(key, rules);
  }
  return entries;
}

absl::StatusOr<uint32_t> PolicyPublisher::Generation() const {
  ASSIGN_OR_RETURN(const auto current, maps_.current.Get<postern_policy_current>(0));
  return current.generation;
}

absl::StatusOr<uint32_t> PolicyPublisher::Publish(const policy::CompiledPolicy& policy) const {
  ASSIGN_OR_RETURN(auto current, maps_.current.Get<postern_policy_current>(0));
  current.slot = (current.slot + 1) % POSTERN_POLICY_SLOTS;
  ++current.generation;

  ASSIGN_OR_RETURN(const auto keys, maps_.config.Get<postern_config>(0));
  ASSIGN_OR_RETURN(const UniqueFd index, BuildIndex(policy, keys));
  ASSIGN_OR_RETURN(const UniqueFd destinations,
                   BuildTrie("policy_destinations", policy.destinations));
  ASSIGN_OR_RETURN(const UniqueFd units, BuildTrie("policy_units", policy.units));
  postern_policy_header header = policy.header;
  header.generation = current.generation;
  // Each of the three returns after an RCU grace period (maybe_wait_bpf_programs in
  // kernel/bpf/syscall.c): no program still reads the slot when it is used anew.
  RETURN_IF_ERROR(maps_.index.Set(current.slot, index.get()));
  RETURN_IF_ERROR(maps_.destinations.Set(current.slot, destinations.get()));
  RETURN_IF_ERROR(maps_.units.Set(current.slot, units.get()));
  RETURN_IF_ERROR(maps_.headers.Set(current.slot, header));
  for (uint32_t cell = 0; cell < POSTERN_HITS_OF_SLOT; ++cell) {
    RETURN_IF_ERROR(maps_.hits.Set(current.slot * POSTERN_HITS_OF_SLOT + cell, uint64_t{0}));
  }

  // Watched around the switch: the ports of both generations.
  const std::unique_ptr<Ports> after = PortBits(policy.ports);
  auto both = std::make_unique<Ports>();
  const uint32_t only = 0;
  RETURN_IF_ERROR(maps_.watched_ports.LookUp(&only, both.get()));
  for (size_t i = 0; i < POSTERN_PORT_WORDS; ++i) both->word[i] |= after->word[i];
  RETURN_IF_ERROR(maps_.watched_ports.Update(&only, both.get()));
  RETURN_IF_ERROR(maps_.current.Set(0, current));
  RETURN_IF_ERROR(maps_.watched_ports.Update(&only, after.get()));
  return current.generation;
}

}  // namespace postern::sensor
