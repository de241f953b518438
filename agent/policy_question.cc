// SPDX-License-Identifier: Apache-2.0
#include "agent/policy_question.h"

#include <grp.h>
#include <netinet/in.h>
#include <pwd.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "agent/enrich/user_names.h"
#include "agent/policy/binary_trust.h"
#include "agent/policy/script_path.h"
#include "agent/policy/unit_path.h"
#include "common/address.h"
#include "common/status.h"

namespace postern::agent {
namespace {

absl::StatusOr<uint32_t> ReadUser(const std::string& user, const policy::Host& host) {
  uint32_t uid = 0;
  if (absl::SimpleAtoi(user, &uid)) return uid;
  const absl::StatusOr<uint32_t> found = host.UserId(user);
  if (found.ok()) return *found;
  return absl::InvalidArgumentError(absl::StrCat("--user: no user is called '", user, "'"));
}

// Groups that a login would have; a service may run with others.
std::vector<uint32_t> GroupsOf(uint32_t uid) {
  const std::string name = enrich::LookUpUser(uid);
  passwd entry = {};
  passwd* found = nullptr;
  std::vector<char> buffer(16384);
  if (name.empty() || getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found) != 0 ||
      found == nullptr) {
    return {};
  }
  std::vector<gid_t> groups(64);
  int count = static_cast<int>(groups.size());
  if (getgrouplist(found->pw_name, found->pw_gid, groups.data(), &count) < 0) {
    groups.resize(static_cast<size_t>(count));
    getgrouplist(found->pw_name, found->pw_gid, groups.data(), &count);
  }
  groups.resize(static_cast<size_t>(std::max(count, 0)));
  return {groups.begin(), groups.end()};
}

// ADDRESS:PORT, an IPv6 address in brackets.
absl::Status ReadDestination(const std::string& to, policy::Subject& subject) {
  const size_t colon = to.rfind(':');
  absl::string_view address = absl::string_view(to).substr(0, colon);
  uint32_t port = 0;
  if (colon == std::string::npos || !absl::SimpleAtoi(to.substr(colon + 1), &port) || port == 0 ||
      port > 65535) {
    return absl::InvalidArgumentError(
        absl::StrCat("--to: '", to, "' is no ADDRESS:PORT, such as 192.0.2.1:25 or [::1]:25"));
  }
  if (absl::ConsumePrefix(&address, "[") && !absl::ConsumeSuffix(&address, "]")) {
    return absl::InvalidArgumentError(absl::StrCat("--to: '", to, "' lacks a ']'"));
  }
  const auto parsed = ParseAddress(address);
  if (!parsed.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("--to: ", parsed.status().message()));
  }
  subject.destination = *parsed;
  subject.port = static_cast<uint16_t>(port);
  return absl::OkStatus();
}

// As the kernel sees it: loopback, unspecified, and what the interfaces have.
bool IsLocal(const policy::AddressBytes& address,
             absl::Span<const policy::AddressBytes> local_addresses) {
  if (IsIpv4Mapped(address.data())) {
    const bool unspecified =
        std::all_of(address.begin() + 12, address.end(), [](uint8_t byte) { return byte == 0; });
    if (address[12] == 127 || unspecified) return true;
  } else {
    const bool zeros =
        std::all_of(address.begin(), address.end() - 1, [](uint8_t byte) { return byte == 0; });
    if (zeros && address[15] <= 1) return true;
  }
  return std::find(local_addresses.begin(), local_addresses.end(), address) !=
         local_addresses.end();
}

}  // namespace

v1::Event::Verdict VerdictOf(postern_action action, policy::Mode mode) {
  const bool enforce = mode == policy::Mode::kEnforce;
  switch (action) {
    case POSTERN_ACTION_ALLOW:
      return v1::Event::ALLOWED;
    case POSTERN_ACTION_REDIRECT:
      return enforce ? v1::Event::REDIRECTED : v1::Event::WOULD_REDIRECT;
    default:
      return enforce ? v1::Event::DENIED : v1::Event::WOULD_DENY;
  }
}

absl::StatusOr<Question> ReadQuestion(const v1::TestPolicyRequest& request,
                                      const policy::Host& host,
                                      absl::Span<const policy::AddressBytes> local_addresses,
                                      const policy::IdentifyBinary& identify) {
  Question question;
  policy::Subject& subject = question.subject;
  ASSIGN_OR_RETURN(subject.uid, ReadUser(request.user(), host));
  subject.euid = subject.uid;
  subject.gids = GroupsOf(subject.uid);
  RETURN_IF_ERROR(ReadDestination(request.to(), subject));
  subject.destination_local = IsLocal(subject.destination, local_addresses);
  if (!request.exe().empty()) {
    absl::StatusOr<policy::BinaryId> id = identify(request.exe());
    if (!id.ok()) {
      return absl::InvalidArgumentError(absl::StrCat("--exe: ", id.status().message()));
    }
    subject.binary = *id;
    policy::BinaryFinding finding = policy::ExamineBinary(host, request.exe());
    subject.exe_trusted = finding.state == policy::BinaryState::kTrusted;
    question.text.exe_problem = std::move(finding.problem);
  }
  if (!request.unit().empty()) {
    const absl::StatusOr<policy::UnitPath> unit = policy::ParseUnitPath(request.unit());
    if (!unit.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("--unit: '", request.unit(), "' ", unit.status().message()));
    }
    if (unit->prefix) {
      return absl::InvalidArgumentError(absl::StrCat(
          "--unit: '", request.unit(), "' is the beginning of many; name the one that connects"));
    }
    subject.unit = unit->path;
  }
  if (!request.script().empty()) {
    const absl::Status checked = policy::CheckScriptPath(request.script());
    if (!checked.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("--script: '", request.script(), "' ", checked.message()));
    }
    subject.script = request.script();
  }
  question.text.user = request.user();
  question.text.exe = request.exe();
  return question;
}

v1::TestPolicyResponse AnswerQuestion(const Question& question, const policy::Config& config,
                                      const policy::CompiledPolicy& policy) {
  v1::TestPolicyResponse response;
  const uint16_t port = question.subject.port;
  if (std::find(policy.ports.begin(), policy.ports.end(), port) == policy.ports.end()) {
    response.set_verdict(v1::Event::ALLOWED);
    response.add_reasons(
        absl::StrCat("port ", port, " is not one of `ports:`, so nothing is judged or recorded"));
    return response;
  }
  const policy::Evaluation evaluation = policy::Evaluator(policy).Evaluate(question.subject);
  response.set_verdict(VerdictOf(evaluation.action, config.mode));
  response.set_rule(evaluation.rule < config.rules.size() ? config.rules[evaluation.rule].name
                                                          : "default");
  for (std::string& reason : policy::Explain(config, question.subject, question.text, evaluation)) {
    response.add_reasons(std::move(reason));
  }
  return response;
}

}  // namespace postern::agent
