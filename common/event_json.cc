// SPDX-License-Identifier: Apache-2.0
#include "common/event_json.h"

#include <cstdint>
#include <utility>

#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/time_text.h"

namespace postern {
namespace {

// Keeps keys in the order they were set.
using Json = nlohmann::ordered_json;

// The kernel's "no login uid", (uid_t)-1.
constexpr uint32_t kNoLoginUid = 0xffffffff;

void Set(Json& json, const char* key, const std::string& value) {
  if (!value.empty()) json[key] = value;
}

void SetCount(Json& json, const char* key, uint64_t value) {
  if (value != 0) json[key] = value;
}

void SetFlag(Json& json, const char* key, bool value) {
  if (value) json[key] = true;
}

void SetTime(Json& json, const char* key, uint64_t time_ns) {
  if (time_ns != 0) json[key] = FormatTime(time_ns);
}

// Numbers whose zero means something, so that proto3 says whether they are set.
template <typename Number>
void SetNumber(Json& json, const char* key, bool present, Number value) {
  if (present) json[key] = value;
}

template <typename Enum>
std::string EnumName(Enum value, bool known, const std::string& name) {
  if (static_cast<int>(value) == 0) return "";
  return known ? absl::AsciiStrToLower(name) : absl::StrCat("unknown_", static_cast<int>(value));
}

void SetProcess(Json& json, const v1::Event& event) {
  SetNumber(json, "pid", event.has_pid(), event.pid());
  SetNumber(json, "tid", event.has_tid(), event.tid());
  SetNumber(json, "ppid", event.has_ppid(), event.ppid());
  SetNumber(json, "uid", event.has_uid(), event.uid());
  SetNumber(json, "gid", event.has_gid(), event.gid());
  SetNumber(json, "euid", event.has_euid(), event.euid());
  SetNumber(json, "egid", event.has_egid(), event.egid());
  SetNumber(json, "loginuid", event.has_loginuid() && event.loginuid() != kNoLoginUid,
            event.loginuid());
  SetNumber(json, "started_as", event.has_started_as(), event.started_as());
  Set(json, "user", event.user());
  Set(json, "comm", event.comm());
}

void SetBinary(Json& json, const v1::Event& event) {
  Set(json, "exe", event.exe());
  SetFlag(json, "exe_cut", event.exe_cut());
  SetFlag(json, "exe_unlinked", event.exe_unlinked());
  SetFlag(json, "exe_trusted", event.exe_trusted());
  if (event.args_size() > 0) {
    Json& args = json["args"] = Json::array();
    for (const std::string& arg : event.args()) args.push_back(arg);
  }
  if (event.args_omitted_bytes() > 0) {
    json["args_omitted_bytes"] = event.args_omitted_bytes();
    json["args_cut_at"] = event.args_cut_at();
  }
  Set(json, "identity", IdentityName(event.identity()));
  Set(json, "script", event.script());
  if (event.ancestors_size() > 0) {
    Json& ancestors = json["ancestors"] = Json::array();
    for (const v1::Ancestor& ancestor : event.ancestors()) {
      Json entry = Json::object();
      entry["pid"] = ancestor.pid();
      Set(entry, "comm", ancestor.comm());
      Set(entry, "exe", ancestor.exe());
      ancestors.push_back(std::move(entry));
    }
  }
  SetCount(json, "ancestors_omitted", event.ancestors_omitted());
  SetNumber(json, "exec_time", event.has_exec_time_ns(), FormatTime(event.exec_time_ns()));
  if (event.has_exe_file()) {
    const v1::File& file = event.exe_file();
    Json& entry = json["exe_file"] = Json::object();
    Set(entry, "device", file.device());
    SetCount(entry, "inode", file.inode());
    SetCount(entry, "generation", file.generation());
    SetTime(entry, "change_time", file.change_time_ns());
    entry["owner"] = file.owner();
    // Permission bits alone, as ls and chmod show them.
    entry["mode"] = absl::StrFormat("%04o", file.mode() & 07777);
  }
}

void SetSurroundings(Json& json, const v1::Event& event) {
  Set(json, "unit", event.unit());
  Set(json, "cgroup", event.cgroup());
  Set(json, "container", event.container());
  SetNumber(json, "cgroup_id", event.has_cgroup_id(), event.cgroup_id());
  SetNumber(json, "user_namespace", event.has_user_namespace(), event.user_namespace());
  SetNumber(json, "network_namespace", event.has_network_namespace(), event.network_namespace());
  SetNumber(json, "socket", event.has_socket(), event.socket());
  SetFlag(json, "in_container", event.in_container());
  SetFlag(json, "in_user_namespace", event.in_user_namespace());
}

void SetDestination(Json& json, const v1::Event& event) {
  Set(json, "family", event.family());
  Set(json, "destination", event.destination());
  SetNumber(json, "destination_local", event.has_destination_local(), event.destination_local());
  SetFlag(json, "destinations_not_kept", event.destinations_not_kept());
  SetCount(json, "port", event.port());
  Set(json, "protocol", event.protocol());
}

}  // namespace

std::string KindName(v1::Event::Kind kind) {
  return EnumName(kind, v1::Event::Kind_IsValid(kind), v1::Event::Kind_Name(kind));
}

std::string VerdictName(v1::Event::Verdict verdict) {
  return EnumName(verdict, v1::Event::Verdict_IsValid(verdict), v1::Event::Verdict_Name(verdict));
}

std::string IdentityName(v1::Event::Identity identity) {
  return EnumName(identity, v1::Event::Identity_IsValid(identity),
                  v1::Event::Identity_Name(identity));
}

std::string GapReasonName(v1::Gap::Reason reason) {
  return EnumName(reason, v1::Gap::Reason_IsValid(reason), v1::Gap::Reason_Name(reason));
}

std::optional<v1::Event::Verdict> VerdictFromName(absl::string_view name) {
  for (v1::Event::Verdict verdict : kVerdicts) {
    if (VerdictName(verdict) == name) return verdict;
  }
  return std::nullopt;
}

std::optional<v1::Event::Kind> KindFromName(absl::string_view name) {
  for (v1::Event::Kind kind : kKinds) {
    if (KindName(kind) == name) return kind;
  }
  return std::nullopt;
}

std::string EventToJson(const v1::Event& event) {
  Json json = Json::object();
  SetTime(json, "time", event.time_ns());
  SetNumber(json, "last_time", event.has_last_time_ns(), FormatTime(event.last_time_ns()));
  SetCount(json, "repeats", event.repeats());
  Set(json, "host", event.host());
  Set(json, "kind", KindName(event.kind()));
  Set(json, "verdict", VerdictName(event.verdict()));
  Set(json, "rule", event.rule());
  SetCount(json, "generation", event.generation());
  SetProcess(json, event);
  SetBinary(json, event);
  SetSurroundings(json, event);
  SetDestination(json, event);
  if (event.has_gap()) {
    const v1::Gap& gap = event.gap();
    Json& entry = json["gap"] = Json::object();
    Set(entry, "reason", GapReasonName(gap.reason()));
    entry["count"] = gap.count();
    SetTime(entry, "from", gap.from_ns());
    SetTime(entry, "to", gap.to_ns());
  }
  Set(json, "message", event.message());
  Set(json, "mode", event.mode());
  if (event.policy_size() > 0) {
    Json& policy = json["policy"] = Json::array();
    for (const std::string& line : event.policy()) policy.push_back(line);
  }
  Set(json, "agent", event.agent());
  Set(json, "agent_version", event.agent_version());
  Set(json, "boot", event.boot());
  SetCount(json, "seq", event.seq());
  SetNumber(json, "boot_time_ns", event.has_boot_time_ns(), event.boot_time_ns());
  return json.dump(/*indent=*/-1, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
}

}  // namespace postern
