// SPDX-License-Identifier: Apache-2.0
#include "agent/policy_in_force.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "agent/enrich/cgroup_names.h"
#include "agent/policy/compiler.h"
#include "agent/policy_question.h"
#include "agent/policy_show.h"
#include "agent/process_names.h"
#include "common/log.h"
#include "common/status.h"

namespace postern::agent {
namespace {

bool SameBinary(const policy::BinaryId& a, const policy::BinaryId& b) {
  return a.device == b.device && a.path.high == b.path.high && a.path.low == b.path.low;
}

bool Fits(const policy::Rule& rule, uint32_t uid) {
  return rule.users.empty() ||
         std::any_of(rule.users.begin(), rule.users.end(),
                     [uid](const policy::Account& account) { return account.id == uid; });
}

}  // namespace

PolicyInForce::PolicyInForce(sensor::Sensor& sensor, const policy::Host& host,
                             policy::RuleNames& names, const std::string& state_dir)
    : sensor_(sensor), host_(host), names_(names), override_(state_dir) {}

absl::Status PolicyInForce::Apply(const policy::Config& config) {
  RETURN_IF_ERROR(Publish(config, override_.Effective(config.mode)));
  override_.Settle(config.mode);
  return absl::OkStatus();
}

absl::Status PolicyInForce::SetMode(policy::Mode mode) { return Publish(config_, mode); }

absl::Status PolicyInForce::KeepMode() const { return override_.Set(config_.mode, mode_); }

absl::Status PolicyInForce::Publish(const policy::Config& config, policy::Mode mode) {
  policy::Config effective = config;
  effective.mode = mode;
  std::map<std::string, policy::BinaryId> binaries;
  ASSIGN_OR_RETURN(
      policy::CompiledPolicy compiled,
      policy::Compile(effective, [&](const std::string& path) -> absl::StatusOr<policy::BinaryId> {
        ASSIGN_OR_RETURN(const policy::BinaryId id, sensor_.IdentifyBinary(path));
        binaries[path] = id;
        return id;
      }));
  // Before the switch: the first record of a generation may be read at once.
  if (absl::Status kept = names_.Set(sensor_.generation() + 1, compiled.rule_names); !kept.ok()) {
    LogWarning("names of rules are not kept: %s", std::string(kept.message()));
  }
  ASSIGN_OR_RETURN(generation_, sensor_.Publish(compiled));
  config_ = config;
  compiled_ = std::move(compiled);
  binaries_ = std::move(binaries);
  mode_ = mode;
  since_ = absl::Now();
  return absl::OkStatus();
}

absl::StatusOr<v1::TestPolicyResponse> PolicyInForce::Test(
    const v1::TestPolicyRequest& request,
    absl::Span<const policy::AddressBytes> local_addresses) const {
  policy::Config effective = config_;
  effective.mode = mode_;
  ASSIGN_OR_RETURN(const Question question,
                   ReadQuestion(request, host_, local_addresses, [this](const std::string& path) {
                     return sensor_.IdentifyBinary(path);
                   }));
  v1::TestPolicyResponse response = AnswerQuestion(question, effective, compiled_);
  response.set_generation(generation_);
  return response;
}

absl::StatusOr<v1::ShowPolicyResponse> PolicyInForce::Show() const {
  ASSIGN_OR_RETURN(const sensor::HeldPolicy held, sensor_.ReadPolicy(compiled_));
  v1::ShowPolicyResponse response = ShowPolicy(held, config_);
  if (response.generation() != generation_) {
    response.add_differences(absl::StrCat("the kernel holds generation ", response.generation(),
                                          ", the agent published ", generation_));
  }
  response.set_loaded_ns(static_cast<uint64_t>(absl::ToUnixNanos(since_)));
  response.set_config_file(config_.file);
  return response;
}

absl::StatusOr<std::vector<v1::Sender>> PolicyInForce::RestartFirst() const {
  ASSIGN_OR_RETURN(const std::vector<sensor::Sensor::UnprovenProcess> unproven,
                   sensor_.UnprovenProcesses());
  std::vector<v1::Sender> senders;
  for (const sensor::Sensor::UnprovenProcess& process : unproven) {
    for (const policy::Rule& rule : config_.rules) {
      if (rule.action != POSTERN_ACTION_ALLOW || !Fits(rule, process.uid)) continue;
      const auto exe =
          std::find_if(rule.exes.begin(), rule.exes.end(), [&](const policy::BinaryPath& binary) {
            const auto id = binaries_.find(binary.path);
            return id != binaries_.end() && SameBinary(id->second, process.binary);
          });
      if (exe == rule.exes.end()) continue;
      v1::Sender& sender = senders.emplace_back();
      sender.set_pid(process.pid);
      sender.set_exe(exe->path);
      sender.set_comm(CommOf(process.pid));
      sender.set_unit(enrich::UnitOf(CgroupOf(process.pid)));
      break;
    }
  }
  return senders;
}

}  // namespace postern::agent
