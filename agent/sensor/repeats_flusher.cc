// SPDX-License-Identifier: Apache-2.0
#include "agent/sensor/repeats_flusher.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <cerrno>

#include "agent/sensor/iterator_run.h"
#include "bpf/abi/state.h"
#include "common/status.h"

namespace postern::sensor {
namespace {

// The table in slot `pair` of an array of maps; NotFound where there is none yet.
absl::StatusOr<UniqueFd> InnerMap(const BpfMap& outer, uint32_t pair) {
  ASSIGN_OR_RETURN(const uint32_t id, outer.Get<uint32_t>(pair));
  UniqueFd fd(bpf_map_get_fd_by_id(id));
  if (!fd.valid()) return ErrnoStatus(errno, "opening a table of repeats");
  return fd;
}

absl::Status RunOver(const bpf_program* program, int map_fd) {
  bpf_iter_link_info target = {};
  target.map.map_fd = static_cast<uint32_t>(map_fd);
  return RunIterator(program, &target).status();
}

}  // namespace

absl::StatusOr<bool> RepeatsFlusher::IsEmpty(uint32_t pair) const {
  ASSIGN_OR_RETURN(const UniqueFd spread, InnerMap(parts_.spread, pair));
  postern_spread_key first;
  // Every attempt that is recorded or counted leaves at least its uid's budget there.
  return !BpfMap(spread.get(), "spread").NextKey(nullptr, &first);
}

absl::Status RepeatsFlusher::Renew(uint32_t pair) const {
  ASSIGN_OR_RETURN(
      const UniqueFd repeats,
      CreateBpfMap(BPF_MAP_TYPE_HASH, "repeats", sizeof(postern_repeat_key),
                   sizeof(postern_repeat_count), POSTERN_REPEAT_ENTRIES, BPF_F_NO_PREALLOC));
  ASSIGN_OR_RETURN(
      const UniqueFd spread,
      CreateBpfMap(BPF_MAP_TYPE_HASH, "spread", sizeof(postern_spread_key),
                   sizeof(postern_repeat_count), POSTERN_SPREAD_ENTRIES, BPF_F_NO_PREALLOC));
  RETURN_IF_ERROR(parts_.repeats.Set(pair, repeats.get()));
  return parts_.spread.Set(pair, spread.get());
}

absl::Status RepeatsFlusher::WriteOut(uint32_t pair) const {
  ASSIGN_OR_RETURN(const UniqueFd repeats, InnerMap(parts_.repeats, pair));
  ASSIGN_OR_RETURN(const UniqueFd spread, InnerMap(parts_.spread, pair));
  RETURN_IF_ERROR(RunOver(parts_.flush_repeats, repeats.get()));
  RETURN_IF_ERROR(RunOver(parts_.flush_spread, spread.get()));
  return Renew(pair);
}

absl::Status RepeatsFlusher::Prepare() const {
  ASSIGN_OR_RETURN(const uint32_t active, parts_.active.Get<uint32_t>(0));
  for (uint32_t pair = 0; pair < POSTERN_REPEAT_TABLES; ++pair) {
    if (!InnerMap(parts_.repeats, pair).ok() || !InnerMap(parts_.spread, pair).ok()) {
      RETURN_IF_ERROR(Renew(pair));
    } else if (pair != active) {
      ASSIGN_OR_RETURN(const bool empty, IsEmpty(pair));
      if (!empty) RETURN_IF_ERROR(WriteOut(pair));
    }
  }
  return absl::OkStatus();
}

absl::Status RepeatsFlusher::Flush() const {
  ASSIGN_OR_RETURN(const uint32_t active, parts_.active.Get<uint32_t>(0));
  ASSIGN_OR_RETURN(const bool empty, IsEmpty(active));
  if (empty) return absl::OkStatus();
  RETURN_IF_ERROR(parts_.active.Set(0, (active + 1) % POSTERN_REPEAT_TABLES));
  // Writing to an array of maps returns after an RCU grace period: from then on
  // no program that saw the old pair as active still runs.
  ASSIGN_OR_RETURN(const UniqueFd spread, InnerMap(parts_.spread, active));
  RETURN_IF_ERROR(parts_.spread.Set(active, spread.get()));
  return WriteOut(active);
}

}  // namespace postern::sensor
