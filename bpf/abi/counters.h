/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Counters that outlive the agent, one 64-bit cell each in the map `counters`. */
#ifndef POSTERN_BPF_ABI_COUNTERS_H_
#define POSTERN_BPF_ABI_COUNTERS_H_

#include "bpf/abi/base.h"

enum postern_counter {
  /* Attempts by verdict: index is POSTERN_COUNTER_VERDICT + enum postern_verdict. */
  POSTERN_COUNTER_VERDICT = 0,
  /* Records that found no place in their ring. Lost: delivered as gap records. */
  POSTERN_COUNTER_LOST_DENIED = 8,
  POSTERN_COUNTER_LOST_OTHER = 9,
  /* Attempts past a budget that no table had room to count. Lost, likewise. */
  POSTERN_COUNTER_LOST_REPEATS = 10,
  /* Attempts that were coalesced. Not lost: they come as repeats. */
  POSTERN_COUNTER_COALESCED = 11,
  /* No room in `processes`: that process matches no rule on exe (fails closed). */
  POSTERN_COUNTER_PROCESSES_FULL = 12,
  POSTERN_COUNTER_DESCRIPTIONS_FULL = 13,
  /* Processes that were not in the table when they connected. */
  POSTERN_COUNTER_UNKNOWN_PROCESS = 14,
  /* Helper failures. */
  POSTERN_COUNTER_ARGS_UNREADABLE = 15,
  POSTERN_COUNTER_PATH_CUT = 16,
  /* No policy in place (never while attached): the attempt passes. Fails open, and counts. */
  POSTERN_COUNTER_NO_POLICY = 17,
  /* No room in `limits`: that user is past the limit of that rule (fails closed). */
  POSTERN_COUNTER_LIMITS_FULL = 18,
  /* Connects of the agent's canary: counted here, and among no verdict. */
  POSTERN_COUNTER_CANARIES = 24,
  /* A socket had no room to remember what it asked for: not redirected but denied. */
  POSTERN_COUNTER_REDIRECT_NO_ROOM = 19,
  /* Written by the agent alone: how much of each LOST counter is told, by a gap in
   * its spool, and up to when (CLOCK_REALTIME, ns). For an agent with another spool. */
  POSTERN_COUNTER_TOLD_DENIED = 28,
  POSTERN_COUNTER_TOLD_OTHER = 29,
  POSTERN_COUNTER_TOLD_REPEATS = 30,
  POSTERN_COUNTER_TOLD_UNTIL = 31,
  POSTERN_COUNTERS = 32,
};

#endif /* POSTERN_BPF_ABI_COUNTERS_H_ */
