// SPDX-License-Identifier: Apache-2.0
#include "tests/kernel/ways/way.h"

namespace postern::testing::ways {
namespace {

// A rule that gives what can be had without `started_as`.
const Policy kDynamic = {.shown = "user, exe",
                         .user = 105,
                         .exe = "{sbin}/dynamic",
                         .honest = {"{sbin}/dynamic", "--uid=105", "{to}", "{port}"}};
const Policy kDynamicOfRoot = {.shown = "user, exe, started_as",
                               .user = 105,
                               .exe = "{sbin}/dynamic",
                               .started_as_root = true,
                               .honest = {"{sbin}/dynamic", "--uid=105", "{to}", "{port}"}};
const Policy kHelper = {.shown = "user (root), exe",
                        .user = 0,
                        .exe = "{sbin}/helper",
                        .honest = {"{sbin}/helper", "{to}", "{port}"}};
const Policy kHelperOfRoot = {.shown = "user (root), exe, started_as",
                              .user = 0,
                              .exe = "{sbin}/helper",
                              .started_as_root = true,
                              .honest = {"{sbin}/helper", "{to}", "{port}"}};
const Policy kRoot = {.shown = "user (root), exe",
                      .user = 0,
                      .exe = "{sbin}/allowed",
                      .honest = {"{sbin}/allowed", "{to}", "{port}"}};
const Policy kUnit = {
    .shown = "unit",
    .unit = "{cgroup path}/system.slice/postfix.service",
    .honest = {"{attacks}/connect", "--cgroup={cgroup}/system.slice/postfix.service", "{to}",
               "{port}"}};

Way Closed(const char* id, const char* title, const Policy* policy, std::vector<std::string> line,
           const char* recorded) {
  return {.id = id,
          .title = title,
          .line = std::move(line),
          .policy = policy,
          .without = kPasses,
          .with = kRefused,
          .recorded = recorded};
}

Way Open(const char* id, const char* title, const Policy* policy, std::vector<std::string> line,
         const char* recorded, const char* note) {
  Way way = Closed(id, title, policy, std::move(line), recorded);
  way.with = kPasses;
  way.note = note;
  return way;
}

std::vector<std::string> As(const std::string& uid, std::vector<std::string> line) {
  line.insert(line.begin(),
              {"/usr/bin/setpriv", "--reuid=" + uid, "--regid=" + uid, "--clear-groups"});
  return line;
}

std::vector<std::string> WithLibrary(const std::string& variable) {
  return As("105", {"/bin/sh", "-c",
                    "export ATTACK_ADDRESS={to} ATTACK_PORT={port} " + variable +
                        "={attacks}/preload.so; exec {sbin}/dynamic"});
}

std::vector<std::string> Inject(const char* who, const char* uid) {
  return {"{attacks}/inject", who, uid, "{sbin}/allowed", "105", "{to}", "{port}"};
}

void AddLibraries(std::vector<Way>& ways) {
  ways.push_back(Open("Preload", "LD_PRELOAD into the allowed program, by the allowed user",
                      &kDynamic, WithLibrary("LD_PRELOAD"),
                      "allowed by mailer: uid 105, sbin/dynamic, exec",
                      "Not closed by `user` and `exe`: it is the right user who runs the right "
                      "file. `started_as: root` closes it, and the check warns of a rule "
                      "without it."));
  ways.push_back(Open("Audit", "LD_AUDIT, likewise", &kDynamic, WithLibrary("LD_AUDIT"),
                      "allowed by mailer: uid 105, sbin/dynamic, exec", "As LD_PRELOAD."));
  ways.push_back(Closed("PreloadOfRoot", "LD_PRELOAD, where root must have started it",
                        &kDynamicOfRoot, WithLibrary("LD_PRELOAD"),
                        "denied by default: uid 105, sbin/dynamic, exec"));
  ways.push_back(Closed("AuditOfRoot", "LD_AUDIT, where root must have started it", &kDynamicOfRoot,
                        WithLibrary("LD_AUDIT"), "denied by default: uid 105, sbin/dynamic, exec"));
}

void AddDebuggers(std::vector<Way>& ways) {
  static constexpr char kByKernel[] = "refused by the kernel: EPERM to ptrace";
  ways.push_back(Open("Trace", "ptrace into the allowed program, started and traced by its user",
                      &kSender, Inject("self", "105"),
                      "allowed by mailer: uid 105, sbin/allowed, exec",
                      "Not closed by `user` and `exe`, and by `started_as: root` it is."));
  ways.push_back(Closed("TraceOfRoot", "ptrace into what its user started, where root must have",
                        &kSenderOfRoot, Inject("self", "105"),
                        "denied by default: uid 105, sbin/allowed, exec"));
  for (const bool genuine : {true, false}) {
    Way way = genuine ? Closed("TraceGenuine", "ptrace into what root started, by its user",
                               &kSenderOfRoot, Inject("root", "105"), kNothing)
                      : Closed("TraceOther", "ptrace into the allowed program by another user",
                               &kSender, Inject("self", "33"), kNothing);
    way.without = way.with = kByKernel;
    ways.push_back(way);
  }
  for (Way& way : ways) {
    if (std::string(way.id).rfind("Trace", 0) == 0) way.feature = "x86-64";
  }
}

void AddIds(std::vector<Way>& ways) {
  ways.push_back(Closed("SuLike", "root's program that becomes the allowed user (su)", &kSender,
                        {"{attacks}/connect", "--uid=105", "--who=fork", "{to}", "{port}"},
                        "denied by default: uid 105, connect, exec"));
  ways.push_back(Closed("SuAway", "the allowed program that becomes another user", &kSender,
                        {"{sbin}/allowed", "--uid=33", "{to}", "{port}"},
                        "denied by default: uid 33, sbin/allowed, exec"));
  ways.push_back(Closed("EffectiveOnly", "the allowed user as effective user only", &kSender,
                        {"{sbin}/allowed", "--uid=33", "--euid=105", "{to}", "{port}"},
                        "denied by default: uid 33, euid 105, sbin/allowed, exec"));
  ways.push_back(Closed("RealOnly", "the allowed user as real user only", &kSender,
                        {"{sbin}/allowed", "--uid=105", "--euid=33", "{to}", "{port}"},
                        "denied by default: uid 105, euid 33, sbin/allowed, exec"));
  ways.push_back(Closed("OneThread", "setresuid in one thread only, beside allowed ones", &kRoot,
                        {"{sbin}/allowed", "--thread-uid=33", "{to}", "{port}"},
                        "denied by default: uid 33, sbin/allowed, exec"));
  ways.push_back(Closed("Setuid", "a setuid program that is allowed for root", &kHelper,
                        As("33", {"{sbin}/helper", "{to}", "{port}"}),
                        "denied by default: uid 33, euid 0, sbin/helper, exec"));
  ways.push_back(Open("SetuidWhole", "the same, and it makes root its real user too", &kHelper,
                      As("33", {"{sbin}/helper", "--uid=0", "{to}", "{port}"}),
                      "allowed by mailer: uid 0, sbin/helper, exec",
                      "Who may run such a helper may send by it, which is what the rule says. "
                      "With `started_as: root` only what root started may."));
  ways.push_back(Closed("SetuidOfRoot", "the same, where root must have started it", &kHelperOfRoot,
                        As("33", {"{sbin}/helper", "--uid=0", "{to}", "{port}"}),
                        "denied by default: uid 0, sbin/helper, exec"));
}

void AddPlaces(std::vector<Way>& ways) {
  ways.push_back(Closed("ContainerUser", "container root that takes the allowed uid", &kUser,
                        {"{attacks}/connect", "--container", "--uid=105", "{to}", "{port}"},
                        "denied by default: uid 105, connect, exec, in a container"));
  ways.push_back(Closed("ContainerProgram", "the allowed user and program in a container",
                        &kSenderOfRoot,
                        {"{sbin}/allowed", "--container", "--uid=105", "{to}", "{port}"},
                        "denied by default: uid 105, sbin/allowed, exec, in a container"));
  ways.push_back(Closed("UserNamespace", "the allowed user and program in a user namespace",
                        &kSenderOfRoot,
                        {"{sbin}/allowed", "--uid=105", "--userns", "{to}", "{port}"},
                        "denied by default: uid 105, sbin/allowed, exec, in a user namespace"));
  ways.push_back(Closed(
      "DelegatedCgroup", "a delegated cgroup that calls itself postfix.service", &kUnit,
      {"{attacks}/connect", "--cgroup={cgroup}/customer{cgroup path}/system.slice/postfix.service",
       "{to}", "{port}"},
      "denied by default: uid 0, connect, exec"));
  ways.push_back(Closed(
      "CgroupBelow", "a cgroup of one's own below the allowed unit", &kUnit,
      {"{attacks}/connect", "--cgroup={cgroup}/system.slice/postfix.service/own", "{to}", "{port}"},
      "denied by default: uid 0, connect, exec"));
}

void AddTimes(std::vector<Way>& ways) {
  ways.push_back(
      Closed("ReusedPid", "another program under an allowed process's pid", &kSender,
             {"{attacks}/pid_reuse", "105", "{sbin}/allowed", "{home}/allowed", "{to}", "{port}"},
             "allowed by mailer: uid 105, sbin/allowed, exec; "
             "denied by default: uid 105, home/allowed, exec"));
  ways.push_back(Closed("ReusedPidByFork", "a fork under an allowed process's pid", &kSender,
                        {"{attacks}/pid_reuse", "105", "{sbin}/allowed", "-", "{to}", "{port}"},
                        "allowed by mailer: uid 105, sbin/allowed, exec; "
                        "denied by default: uid 105, pid_reuse, exec"));
  ways.push_back(Closed("Early", "a process from before the agent's first start", &kSender,
                        {"{sbin}/allowed", "--uid=105", "--wait", "{to}", "{port}"},
                        "denied by default: uid 105, sbin/allowed, seeded"));
  ways.back().early = true;
}

}  // namespace

const Policy kUser = {
    .shown = "user", .user = 105, .honest = {"{attacks}/connect", "--uid=105", "{to}", "{port}"}};
const Policy kSenderOfRoot = {.shown = "user, exe, started_as",
                              .user = 105,
                              .exe = "{sbin}/allowed",
                              .started_as_root = true,
                              .honest = {"{sbin}/allowed", "--uid=105", "{to}", "{port}"}};

std::vector<Way> Processes() {
  std::vector<Way> ways;
  AddLibraries(ways);
  AddDebuggers(ways);
  AddIds(ways);
  AddPlaces(ways);
  AddTimes(ways);
  return ways;
}

}  // namespace postern::testing::ways
