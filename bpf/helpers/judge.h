/* SPDX-License-Identifier: GPL-2.0-only */
/* The verdict, by the policy maps alone. bpf/abi/policy.h says how it is found. */
#ifndef POSTERN_BPF_HELPERS_JUDGE_H_
#define POSTERN_BPF_HELPERS_JUDGE_H_

#include "bpf/helpers/destination.h"
#include "bpf/helpers/limit.h"
#include "bpf/helpers/redirect.h"
#include "bpf/helpers/subject.h"
#include "bpf/helpers/unit.h"

/* The two of the process itself, and as many as it may have: NGROUPS_MAX, limits.h. */
#define GROUPS_LOOKED_AT (2 + 65536)
#define GROUPS_LOOKED_AT_UNROLLED 32 /* without bpf_loop; what is beyond matches no rule */

struct judgement {
  __u64 time; /* ns on the boot clock, set by the caller */
  __u32 generation;
  __u32 deny_errno;
  __u16 rule;
  __u8 verdict;
  __u8 kind; /* enum postern_record_kind of what is judged; 0: a connect */
};

static __always_inline void set_and(struct postern_rule_set *set,
                                    const struct postern_rule_set *with) {
  for (int i = 0; i < POSTERN_RULE_WORDS; i++) set->word[i] &= with->word[i];
}

static __always_inline void set_or(struct postern_rule_set *set,
                                   const struct postern_rule_set *with) {
  for (int i = 0; i < POSTERN_RULE_WORDS; i++) set->word[i] |= with->word[i];
}

static __always_inline void set_take_away(struct postern_rule_set *set,
                                          const struct postern_rule_set *away) {
  for (int i = 0; i < POSTERN_RULE_WORDS; i++) set->word[i] &= ~away->word[i];
}

static __always_inline bool dimension_used(const struct postern_policy_header *policy,
                                           __u32 dimension) {
  return policy->dimensions & (1U << dimension);
}

/* The rules that `key` satisfies in its dimension; `any` where none names it. */
static __always_inline const struct postern_rule_set *rules_for(
    void *index, const struct postern_policy_key *key, const struct postern_rule_set *any) {
  const struct postern_rule_set *found = bpf_map_lookup_elem(index, key);

  return found ? found : any;
}

/* The first of all: every port the policy judges is in the index, with the rules that name none. */
APART bool judge_port(void *index, const struct destination *to, struct postern_rule_set *set) {
  struct postern_policy_key key = {.dimension = POSTERN_DIMENSION_PORT, .value = to->port};
  const struct postern_rule_set *rules = bpf_map_lookup_elem(index, &key);

  if (rules) *set = *rules;
  return rules != 0;
}

APART void judge_user(const struct postern_policy_header *policy, void *index,
                      const struct subject *who, struct postern_rule_set *set) {
  struct postern_policy_key key = {.dimension = POSTERN_DIMENSION_USER, .value = who->uid};
  const struct postern_rule_set *real = rules_for(index, &key, &policy->any_user);
  const struct postern_rule_set *effective = real;

  const struct postern_rule_set *answering = real;

  if (who->euid != who->uid) {
    key.value = who->euid;
    effective = rules_for(index, &key, &policy->any_user);
  }
  key.value = account_of(who).uid;
  if (key.value != 0 && key.value != who->uid)
    answering = rules_for(index, &key, &policy->any_user);
  for (int i = 0; i < POSTERN_RULE_WORDS; i++) {
    __u64 both = real->word[i] & effective->word[i];
    __u64 either = real->word[i] | effective->word[i] | answering->word[i];
    set->word[i] &= both | (either & policy->deny_rules.word[i]);
  }
}

struct group_walk {
  void *index;
  const char *gids;             /* supplementary ones */
  struct postern_rule_set *set; /* which an excluded group is taken from at once */
  __u32 count;                  /* of gids */
  __u32 gid;
  __u32 egid;
  bool excludes; /* some rule does, by group */
  struct postern_rule_set found;
};

static long group_step(__u32 number, struct group_walk *walk) {
  struct postern_policy_key key = {.dimension = POSTERN_DIMENSION_GROUP, .value = walk->gid};

  if (number >= walk->count + 2) return 1;
  if (number == 1) key.value = walk->egid;
  /* Fails open for a deny rule, and for one that excludes; group_info is always mapped. */
  if (number >= 2 && bpf_probe_read_kernel(&key.value, sizeof(key.value),
                                           walk->gids + (number - 2) * sizeof(key.value)))
    return 1;
  const struct postern_rule_set *rules = bpf_map_lookup_elem(walk->index, &key);
  if (rules) set_or(&walk->found, rules);
  if (!walk->excludes) return 0;
  key.dimension = POSTERN_DIMENSION_NOT_GROUP;
  rules = bpf_map_lookup_elem(walk->index, &key);
  if (rules) set_take_away(walk->set, rules);
  return 0;
}

/* Primary, effective and supplementary groups. */
APART void judge_group(const struct postern_policy_header *policy, void *index,
                       const struct subject *who, struct postern_rule_set *set) {
  const struct cred *cred = who->cred;
  struct group_info *groups = BPF_CORE_READ(cred, group_info);
  struct group_walk walk = {
      .index = index,
      .gids = (const char *)groups + bpf_core_field_offset(groups->gid),
      .set = set,
      .count = BPF_CORE_READ(groups, ngroups),
      .gid = who->gid,
      .egid = who->egid,
      .excludes = dimension_used(policy, POSTERN_DIMENSION_NOT_GROUP),
      .found = policy->any_group,
  };

  if (postern_has_loop) {
    bpf_loop(GROUPS_LOOKED_AT, group_step, &walk, 0);
  } else {
    long stop = 0;
    for (__u32 number = 0; number < GROUPS_LOOKED_AT_UNROLLED; number++)
      if (!stop) stop = group_step(number, &walk);
  }
  set_and(set, &walk.found);
}

/* What only an identity seen at exec can satisfy. */
APART void judge_exe(const struct postern_policy_header *policy, void *index,
                     const struct subject *who, struct postern_rule_set *set) {
  const struct postern_rule_set *exe = &policy->unproven_exe;
  const struct postern_rule_set *started_as = &policy->unproven_started_as;
  const struct postern_process *process = who->process;

  if (process && process->source == POSTERN_IDENTITY_EXEC) {
    if ((process->flags & POSTERN_PROCESS_EXE_TRUSTED) && (process->exe.high || process->exe.low)) {
      struct postern_policy_key key = {
          .dimension = POSTERN_DIMENSION_EXE,
          .value = process->exe_device,
          .path = process->exe,
      };
      exe = rules_for(index, &key, &policy->any_exe);
    }
    struct postern_policy_key key = {
        .dimension = POSTERN_DIMENSION_STARTED_AS,
        .value = process->started_as,
    };
    started_as = rules_for(index, &key, &policy->any_started_as);
  }
  set_and(set, exe);
  set_and(set, started_as);
}

/* As exe and started_as, but for what exec found to run no script at all. */
APART void judge_script(const struct postern_policy_header *policy, void *index,
                        const struct subject *who, struct postern_rule_set *set) {
  const struct postern_rule_set *rules = &policy->unproven_script;
  const struct postern_process *process = who->process;

  if (process && process->source == POSTERN_IDENTITY_EXEC) {
    struct postern_policy_key key = {
        .dimension = POSTERN_DIMENSION_SCRIPT,
        .path = process->script,
    };
    if (key.path.high || key.path.low)
      rules = rules_for(index, &key, &policy->any_script);
    else if (process->flags & POSTERN_PROCESS_NO_SCRIPT)
      rules = &policy->any_script;
  }
  set_and(set, rules);
}

APART void judge_unit(const struct postern_policy_header *policy, void *units,
                      const struct subject *who, struct postern_rule_set *set) {
  const struct postern_rule_set *rules = &policy->unproven_unit;
  __u64 thread = bpf_get_current_pid_tgid();
  struct unit_room *room = unit_room_enter(thread);

  if (room && unit_read(who->task, room)) {
    rules = bpf_map_lookup_elem(units, &room->key);
    if (!rules) rules = &policy->any_unit;
  }
  /* Whoever hides in a path that is too long may be in any unit. */
  bool hides = rules == &policy->unproven_unit && has_unit_paths();
  for (int i = 0; i < POSTERN_RULE_WORDS; i++)
    set->word[i] &= rules->word[i] | (hides ? policy->deny_rules.word[i] : 0);
  unit_room_leave(thread);
}

APART void judge_destination(const struct postern_policy_header *policy, void *trie,
                             const struct destination *to, struct postern_rule_set *set) {
  const struct postern_destination_rules *found = bpf_map_lookup_elem(trie, &to->prefix);
  const struct postern_rule_set *named = found ? &found->named : &policy->any_destination;

  for (int i = 0; i < POSTERN_RULE_WORDS; i++) {
    __u64 rules = named->word[i];
    if (to->local) rules |= policy->local_destination.word[i];
    set->word[i] &= rules;
  }
  if (found) set_take_away(set, &found->excluded);
  if (to->local) set_take_away(set, &policy->not_local_destination);
}

/*
 * Position of the only bit in a word, by its product with a de Bruijn sequence. A
 * table, not branches: the verifier would follow each of 256 rules to the end.
 */
#define DE_BRUIJN 0x03f79d71b4cb0a89ULL
static const __u8 bit_positions[64] = {
    0,  1,  48, 2,  57, 49, 28, 3,  61, 58, 50, 42, 38, 29, 17, 4,  62, 55, 59, 36, 53, 51,
    43, 22, 45, 39, 33, 30, 24, 18, 12, 5,  63, 47, 56, 27, 60, 41, 37, 16, 54, 35, 52, 21,
    44, 32, 23, 11, 46, 26, 40, 15, 34, 20, 31, 10, 25, 14, 19, 9,  13, 8,  7,  6,
};

/* Index of the lowest rule in `set`, or POSTERN_RULE_DEFAULT. */
static __always_inline __u16 first_rule(const struct postern_rule_set *set) {
  for (int i = 0; i < POSTERN_RULE_WORDS; i++) {
    __u64 word = set->word[i];

    if (word) return i * 64 + bit_positions[(word & -word) * DE_BRUIJN >> 58];
  }
  return POSTERN_RULE_DEFAULT;
}

/* What an action comes to; one that this program does not know denies: fails closed. */
static __always_inline __u8 verdict_of(const struct postern_policy_header *policy, __u32 action,
                                       bool within_limit) {
  if (action == POSTERN_ACTION_ALLOW && within_limit) return POSTERN_VERDICT_ALLOWED;
  if (action == POSTERN_ACTION_REDIRECT && within_limit)
    return policy->enforce ? POSTERN_VERDICT_REDIRECTED : POSTERN_VERDICT_WOULD_REDIRECT;
  if (!policy->enforce) return POSTERN_VERDICT_WOULD_DENY;
  return within_limit ? POSTERN_VERDICT_DENIED : POSTERN_VERDICT_OVER_LIMIT;
}

/* The verdict by the rule that matched first. */
APART void judge_by(const struct postern_policy_header *policy, const struct subject *who,
                    const struct destination *to, __u16 rule, struct judgement *judgement) {
  __u32 action = policy->default_action;
  bool within_limit = true;
  __u64 index = rule & (POSTERN_RULES - 1);

  IN_REGISTER(index);
  if (rule < POSTERN_RULES) {
    const struct postern_limit *limit = &policy->limit[index];
    action = policy->action[index];
    if (action == POSTERN_ACTION_REDIRECT && !may_redirect(policy, index, who))
      action = POSTERN_ACTION_DENY;
    if (action == POSTERN_ACTION_REDIRECT && to->local) action = POSTERN_ACTION_ALLOW;
    if (limit->interval != 0 && action != POSTERN_ACTION_DENY)
      within_limit = limit_take(limit, account_of(who), judgement->time);
  }
  judgement->generation = policy->generation;
  judgement->deny_errno = policy->deny_errno;
  judgement->rule = rule;
  judgement->verdict = verdict_of(policy, action, within_limit);
}

/*
 * The same of a connection that stands: nothing is taken from a limit, and it cannot be
 * led elsewhere. So it needs neither a lock nor a helper that iterators do not have.
 */
APART void judge_standing_by(const struct postern_policy_header *policy, __u16 rule,
                             struct judgement *judgement) {
  __u32 action = policy->default_action;
  __u64 index = rule & (POSTERN_RULES - 1);

  IN_REGISTER(index);
  if (rule < POSTERN_RULES) action = policy->action[index];
  if (action == POSTERN_ACTION_REDIRECT) action = POSTERN_ACTION_ALLOW;
  judgement->generation = policy->generation;
  judgement->deny_errno = policy->deny_errno;
  judgement->rule = rule;
  judgement->verdict = verdict_of(policy, action, /*within_limit=*/true);
}

/* Before any rule is looked at, so that it takes nothing from a limit either. */
static __always_inline bool judge_canary(const struct postern_policy_header *policy,
                                         struct judgement *judgement) {
  judgement->generation = policy->generation;
  judgement->deny_errno = policy->deny_errno;
  judgement->rule = POSTERN_RULE_DEFAULT;
  judgement->verdict = POSTERN_VERDICT_DENIED;
  return true;
}

static __always_inline void count_hit(__u32 slot, __u16 rule) {
  __u32 cell = slot * POSTERN_HITS_OF_SLOT + (rule < POSTERN_RULES ? rule : POSTERN_RULES);
  __u64 *hits = bpf_map_lookup_elem(&policy_hits, &cell);

  if (hits) __sync_fetch_and_add(hits, 1);
}

static __always_inline bool judge_as(const struct subject *who, const struct destination *to,
                                     bool connects, struct judgement *judgement) {
  const struct postern_policy_current *current = only_element(&policy_current);
  if (!current) return false;
  __u32 slot = current->slot;
  const struct postern_policy_header *policy = bpf_map_lookup_elem(&policy_headers, &slot);
  void *index = bpf_map_lookup_elem(&policy_index, &slot);
  void *trie = bpf_map_lookup_elem(&policy_destinations, &slot);
  void *units = bpf_map_lookup_elem(&policy_units, &slot);
  if (!policy || !index || !trie || !units || policy->generation == 0) {
    count(POSTERN_COUNTER_NO_POLICY, 1);
    return false;
  }

  struct postern_rule_set set;
  if (!judge_port(index, to, &set)) return false;
  if (who->flags & POSTERN_CONNECT_CANARY) return judge_canary(policy, judgement);
  set_and(&set, who->flags & POSTERN_CONNECT_CONTAINER ? &policy->in_container
                                                       : &policy->outside_container);
  if (who->flags & POSTERN_CONNECT_USER_NAMESPACE) set_and(&set, &policy->in_user_namespace);
  if (dimension_used(policy, POSTERN_DIMENSION_USER)) judge_user(policy, index, who, &set);
  if (dimension_used(policy, POSTERN_DIMENSION_GROUP) ||
      dimension_used(policy, POSTERN_DIMENSION_NOT_GROUP))
    judge_group(policy, index, who, &set);
  if (dimension_used(policy, POSTERN_DIMENSION_EXE) ||
      dimension_used(policy, POSTERN_DIMENSION_STARTED_AS))
    judge_exe(policy, index, who, &set);
  if (dimension_used(policy, POSTERN_DIMENSION_SCRIPT)) judge_script(policy, index, who, &set);
  judge_destination(policy, trie, to, &set);
  if (dimension_used(policy, POSTERN_DIMENSION_UNIT)) judge_unit(policy, units, who, &set);

  if (connects) {
    judge_by(policy, who, to, first_rule(&set), judgement);
    count_hit(slot, judgement->rule);
  } else {
    judge_standing_by(policy, first_rule(&set), judgement);
  }
  return true;
}

/*
 * False when the policy in place does not judge this port, or there is none. APART: its
 * stack is then free again when the record is written.
 */
APART bool judge(const struct subject *who, const struct destination *to,
                 struct judgement *judgement) {
  return judge_as(who, to, /*connects=*/true, judgement);
}

APART bool judge_standing(const struct subject *who, const struct destination *to,
                          struct judgement *judgement) {
  return judge_as(who, to, /*connects=*/false, judgement);
}

#endif /* POSTERN_BPF_HELPERS_JUDGE_H_ */
