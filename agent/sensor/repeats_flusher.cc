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

// True when every cell became a record; false when a ring was full.
absl::StatusOr<bool> RunOver(const bpf_program* program, int map_fd) {
  bpf_iter_link_info target = {};
  target.map.map_fd = static_cast<uint32_t>(map_fd);
  ASSIGN_OR_RETURN(const std::string kept, RunIterator(program, &target));
  return kept.empty();
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

absl::StatusOr<bool> RepeatsFlusher::WriteOut(uint32_t pair) const {
  ASSIGN_OR_RETURN(const UniqueFd repeats, InnerMap(parts_.repeats, pair));
  ASSIGN_OR_RETURN(const UniqueFd spread, InnerMap(parts_.spread, pair));
  ASSIGN_OR_RETURN(const bool repeats_done, RunOver(parts_.flush_repeats, repeats.get()));
  ASSIGN_OR_RETURN(const bool spread_done, RunOver(parts_.flush_spread, spread.get()));
  if (!repeats_done || !spread_done) return false;
  RETURN_IF_ERROR(Renew(pair));
  return true;
}

absl::Status RepeatsFlusher::Prepare() const {
  for (uint32_t pair = 0; pair < POSTERN_REPEAT_TABLES; ++pair) {
    if (!InnerMap(parts_.repeats, pair).ok() || !InnerMap(parts_.spread, pair).ok()) {
      RETURN_IF_ERROR(Renew(pair));
    }
  }
  return absl::OkStatus();
}

absl::Status RepeatsFlusher::Flush() const {
  ASSIGN_OR_RETURN(const uint32_t active, parts_.active.Get<uint32_t>(0));
  const uint32_t other = (active + 1) % POSTERN_REPEAT_TABLES;
  // What an earlier flush could not write, because a ring was full or because the
  // agent died over it.
  ASSIGN_OR_RETURN(const bool drained, IsEmpty(other));
  if (!drained) {
    ASSIGN_OR_RETURN(const bool written, WriteOut(other));
    if (!written) return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(const bool idle, IsEmpty(active));
  if (idle) return absl::OkStatus();
  RETURN_IF_ERROR(parts_.active.Set(0, other));
  // Writing to an array of maps returns after an RCU grace period: from then on
  // no program that saw the old pair as active still runs.
  ASSIGN_OR_RETURN(const UniqueFd spread, InnerMap(parts_.spread, active));
  RETURN_IF_ERROR(parts_.spread.Set(active, spread.get()));
  return WriteOut(active).status();
}

}  // namespace postern::sensor
