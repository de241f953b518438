// SPDX-License-Identifier: Apache-2.0
#include "agent/canary/prover.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status.h"

namespace postern::canary {
namespace {

const char* WhatFailed(Report::Failed failed) {
  switch (failed) {
    case Report::Failed::kGroups:
      return "leaving its groups (setgroups, setresgid)";
    case Report::Failed::kUser:
      return "becoming nobody (setresuid)";
    case Report::Failed::kSocket:
      return "making a socket";
    case Report::Failed::kNothing:
      break;
  }
  return "starting";
}

std::string NotMade(const absl::Status& status) {
  return absl::StrCat("the canary could not be made, so it is not known whether denials work: ",
                      std::string(status.message()));
}

bool Passed(int32_t result) { return result == 0 || result == EINPROGRESS; }

// EPERM is what a program sees where the kernel cannot say otherwise (before 5.18).
bool Denied(int32_t result, const Prover::Policy& policy) {
  return result == policy.deny_errno || result == EPERM;
}

}  // namespace

Prover::Prover(sensor::Sensor& sensor, MakeChild make_child, std::function<void(v1::Event)> record,
               std::function<absl::Time()> now)
    : sensor_(sensor),
      make_child_(std::move(make_child)),
      record_(std::move(record)),
      now_(std::move(now)) {}

Prover::~Prover() { End(); }

void Prover::Turn(const Policy& policy) {
  if (policy.generation != generation_) {
    // Whatever it met, another policy is in force now.
    End();
    next_ = absl::InfinitePast();
  }
  // A clock that was set back must not put it off.
  if (!under_way_.has_value()) {
    if (now_() >= next_ || next_ - now_() > kEvery) Begin(policy);
    return;
  }
  Look();
}

void Prover::Begin(const Policy& policy) {
  generation_ = policy.generation;
  next_ = now_() + kEvery;
  UnderWay begun;
  begun.policy = policy;
  begun.begun = now_();
  absl::StatusOr<std::unique_ptr<Child>> child = make_child_(policy.port);
  if (!child.ok()) return Fail(NotMade(child.status()), v1::Event::VERDICT_UNSPECIFIED);
  begun.child = *std::move(child);
  under_way_ = std::move(begun);
  const absl::Status known =
      sensor_.RegisterCanary(static_cast<uint32_t>(under_way_->child->pid()));
  if (absl::IsNotFound(known)) {
    return Fail(
        "the canary is not in the kernel's table of processes: identities are not kept any more, "
        "the table is full, or posternd runs in a pid namespace of its own; restart posternd",
        v1::Event::VERDICT_UNSPECIFIED);
  }
  if (!known.ok()) return Fail(NotMade(known), v1::Event::VERDICT_UNSPECIFIED);
  under_way_->child->Go();
}

void Prover::Look() {
  if (under_way_->report.has_value()) return Judge();
  absl::StatusOr<std::optional<Report>> report = under_way_->child->Poll();
  if (!report.ok()) return Fail(NotMade(report.status()), v1::Event::VERDICT_UNSPECIFIED);
  if (report->has_value()) {
    const Report& said = **report;
    if (said.failed != Report::Failed::kNothing) {
      return Fail(NotMade(ErrnoStatus(said.error, WhatFailed(said.failed))),
                  v1::Event::VERDICT_UNSPECIFIED);
    }
    // The records stood in the ring before connect(2) returned: the next turn has them.
    under_way_->report = said;
    under_way_->reported = now_();
    return;
  }
  if (now_() - under_way_->begun > kPatience) {
    Fail(absl::StrCat("the canary did not report within ", absl::FormatDuration(kPatience),
                      ", so it is not known whether denials work"),
         v1::Event::VERDICT_UNSPECIFIED);
  }
}

void Prover::Judge() {
  const Policy& policy = under_way_->policy;
  const absl::Duration waited = now_() - under_way_->reported;
  for (size_t i = 0; i < kWays.size(); ++i) {
    const int32_t result = under_way_->report->result[i];
    if (result == Report::kNoSuchWay) continue;
    const bool recorded = std::any_of(
        under_way_->records.begin(), under_way_->records.end(),
        [&](const v1::Event& record) { return record.destination() == kWays[i].address; });
    if (Denied(result, policy) && recorded) continue;
    if (!recorded && waited <= (Denied(result, policy) ? kPatience : kPatienceOncePassed)) return;
    const std::string who = absl::StrCat("the canary's connect to ", kWays[i].address, ":",
                                         policy.port, " (", kWays[i].hook, ") ");
    if (Denied(result, policy)) {
      return Fail(absl::StrCat(who, "was denied, but no record of it came within ",
                               absl::FormatDuration(kPatience),
                               ": what is denied on this host may not be on record"),
                  v1::Event::VERDICT_UNSPECIFIED);
    }
    if (!Passed(result)) {
      char buffer[128];
      return Fail(absl::StrCat(who, "ended by \"", strerror_r(result, buffer, sizeof(buffer)),
                               "\", not by the policy's deny_errno, ",
                               recorded ? "though Postern denied it"
                                        : "and no record of it came: something else of this host "
                                          "keeps it from connecting (ip route, AppArmor, SELinux)"),
                  v1::Event::VERDICT_UNSPECIFIED);
    }
    return Fail(
        absl::StrCat(who, recorded ? "passed, though Postern denied it: another program on that "
                                     "hook lets pass what is denied; `bpftool cgroup tree` "
                                     "shows it"
                                   : "passed, and no record of it came: connections pass "
                                     "unjudged; restart posternd"),
        v1::Event::ALLOWED);
  }
  problem_.clear();
  proven_ = now_();
  End();
}

void Prover::Committed(const v1::Event& event) {
  if (!under_way_.has_value() || !IsProof(event)) return;
  // Records of one that was given up may still come.
  if (event.pid() != static_cast<uint32_t>(under_way_->child->pid()) ||
      event.generation() != under_way_->policy.generation) {
    return;
  }
  under_way_->records.push_back(event);
}

void Prover::End() {
  if (!under_way_.has_value()) return;
  // What fails here leaves a process registered that is about to be gone for good.
  sensor_.ForgetCanary().IgnoreError();
  under_way_.reset();
}

void Prover::Fail(const std::string& problem, v1::Event::Verdict verdict) {
  next_ = now_() + kEveryWhileFailing;
  if (problem != problem_) {
    problem_ = problem;
    v1::Event event;
    event.set_kind(v1::Event::CANARY);
    event.set_verdict(verdict);
    event.set_generation(generation_);
    if (under_way_.has_value()) {
      event.set_pid(static_cast<uint32_t>(under_way_->child->pid()));
      event.set_port(under_way_->policy.port);
    }
    event.set_message(problem);
    record_(std::move(event));
  }
  End();
}

}  // namespace postern::canary
