// SPDX-License-Identifier: Apache-2.0
#include "agent/sensor/program_set.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "absl/memory/memory.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "bpf/postern_bpf.skel.h"
#include "common/log.h"
#include "common/status.h"

namespace postern::sensor {
namespace {

// Fresh with each load, or room for one call: nothing that outlives the agent.
// Nor the canary: who died with its agent must never be taken for the next one's.
constexpr std::array<absl::string_view, 9> kNotPinned = {
    "nothing",     "exec_room",    "identify_room",
    "unit_rooms",  "interpreters", "interpreter_options",
    "script_room", "canary",       "reader_sleeps"};
constexpr std::array<absl::string_view, 2> kSizedByThreads = {"processes", "descriptions"};
// What others are worth something without. An older kernel may not take them.
constexpr std::array<absl::string_view, 2> kSecurityHooks = {"judge_packet_socket",
                                                             "judge_header_included"};
constexpr std::array<absl::string_view, 5> kOptional = {"judge_sock_create", kSecurityHooks[0],
                                                        kSecurityHooks[1], "find_packet_sockets",
                                                        "find_earlier_connections"};
// Where threads-max cannot be read: what a host with 16 GiB has.
constexpr uint32_t kUsualThreadsMax = 131072;

template <size_t n>
bool Contains(const std::array<absl::string_view, n>& names, absl::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// No user can have more processes than the host has threads.
uint32_t ThreadsMax() {
  std::ifstream file("/proc/sys/kernel/threads-max");
  uint32_t threads = 0;
  return file >> threads && threads > 0 ? threads : kUsualThreadsMax;
}

// libbpf's own words, kept for the case that loading fails. It calls back
// without a context; loading happens once, on one thread.
struct LibbpfWords {
  std::string first;     // the first complaint
  std::string verifier;  // the log of the program that was refused
};
thread_local LibbpfWords* libbpf_words = nullptr;

int KeepWords(libbpf_print_level level, const char* format, va_list args) {
  if (libbpf_words == nullptr || level != LIBBPF_WARN) return 0;
  char* text = nullptr;
  const int length = vasprintf(&text, format, args);
  if (length < 0) return 0;
  if (absl::StrContains(text, "-- BEGIN PROG LOAD LOG --")) {
    libbpf_words->verifier = text;
  } else if (libbpf_words->first.empty()) {
    libbpf_words->first = std::string(absl::StripAsciiWhitespace(text));
  }
  free(text);
  return length;
}

// The verifier ends with what it refused, then one line of statistics.
std::string LastWords(absl::string_view log) {
  std::string last;
  for (absl::string_view line : absl::StrSplit(log, '\n')) {
    if (absl::StartsWith(line, "processed ")) break;
    if (!line.empty()) last = std::string(line);
  }
  return last;
}

// A pinned map keeps the size it was made with, also when threads-max changed.
absl::StatusOr<uint32_t> PinnedEntries(const std::string& path) {
  const UniqueFd fd(bpf_obj_get(path.c_str()));
  if (!fd.valid()) return ErrnoStatus(errno, absl::StrCat("opening the pin ", path));
  bpf_map_info info = {};
  uint32_t bytes = sizeof(info);
  if (bpf_obj_get_info_by_fd(fd.get(), &info, &bytes) != 0) {
    return ErrnoStatus(errno, absl::StrCat("reading the pin ", path));
  }
  return info.max_entries;
}

absl::Status PreparePins(const PinFolder& pins, bpf_object* object) {
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, object) {
    const absl::string_view name = bpf_map__name(map);
    if (bpf_map__is_internal(map) || Contains(kNotPinned, name)) continue;
    const std::string path = pins.MapPath(name);
    if (bpf_map__set_pin_path(map, path.c_str()) != 0) {
      return ErrnoStatus(errno, absl::StrCat("naming the pin ", path));
    }
    if (!Contains(kSizedByThreads, name)) continue;
    uint32_t entries = ThreadsMax();
    if (pins.HasMap(name)) {
      ASSIGN_OR_RETURN(const uint32_t pinned, PinnedEntries(path));
      if (pinned < entries) {
        LogWarning(
            "kernel.threads-max is %d, the table of processes holds %d: run `posternd --release` "
            "and start again to make it larger",
            entries, pinned);
      }
      entries = pinned;
    }
    bpf_map__set_max_entries(map, entries);
  }
  return absl::OkStatus();
}

bool HasHelper(bpf_func_id helper) {
  return libbpf_probe_bpf_helper(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, helper, nullptr) == 1;
}

// Linux 5.8. libbpf has no probe for a type of attachment: the smallest program says.
bool HasGetpeername() {
  const bpf_insn returns_one[] = {
      {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .src_reg = 0, .off = 0, .imm = 1},
      {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0}};
  bpf_prog_load_opts options = {};
  options.sz = sizeof(options);
  options.expected_attach_type = BPF_CGROUP_INET4_GETPEERNAME;
  return UniqueFd(bpf_prog_load(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, "probe", "GPL", returns_one,
                                std::size(returns_one), &options))
      .valid();
}

// A program on a security hook loads and attaches, and never runs, where the list of
// modules that are active does not have "bpf". "": it has; else what is wrong.
std::string WhyNoSecurityHooks() {
  constexpr char kList[] = "/sys/kernel/security/lsm";
  std::ifstream file(kList);
  std::string names;
  if (!(file >> names)) {
    return absl::StrCat(kList,
                        " cannot be read: BPF LSM is not in this kernel, or no securityfs "
                        "is mounted");
  }
  const std::vector<std::string> active = absl::StrSplit(names, ',');
  if (std::find(active.begin(), active.end(), "bpf") != active.end()) return "";
  return absl::StrCat("BPF LSM is not active: add bpf to the kernel's lsm=", names);
}

// The optional program that libbpf complains of ("prog 'NAME': …"); "" for none.
std::string RefusedOptional(const LibbpfWords& libbpf) {
  for (const absl::string_view name : kOptional) {
    if (absl::StrContains(libbpf.first, absl::StrCat("prog '", name, "':"))) {
      return std::string(name);
    }
  }
  return "";
}

absl::Status ExplainLoadFailure(int error, const LibbpfWords& libbpf) {
  const std::string& words = libbpf.first;
  if (access("/sys/kernel/btf/vmlinux", R_OK) != 0) {
    return absl::UnimplementedError(
        "this kernel has no BTF (/sys/kernel/btf/vmlinux); Postern needs one built with "
        "CONFIG_DEBUG_INFO_BTF=y, as Debian, Ubuntu and RHEL build theirs");
  }
  if (!libbpf.verifier.empty()) {
    return absl::UnimplementedError(absl::StrCat("this kernel's verifier refuses a program (",
                                                 words, "; ", LastWords(libbpf.verifier),
                                                 "); please report it with `uname -r`"));
  }
  if (error == EPERM || error == EACCES) {
    return absl::PermissionDeniedError(absl::StrCat(
        "the kernel refused to load the programs; run as root, or with CAP_BPF, CAP_NET_ADMIN and "
        "CAP_PERFMON",
        words.empty() ? "" : absl::StrCat(" (", words, ")")));
  }
  if (absl::StrContains(words, "incompatible") || absl::StrContains(words, "mismatch")) {
    return absl::FailedPreconditionError(
        absl::StrCat("the pins were made by another build (", words,
                     "); `posternd --release` takes them down, enforcement included"));
  }
  return ErrnoStatus(error, absl::StrCat("loading the BPF programs (", words, ")"));
}

}  // namespace

absl::StatusOr<std::unique_ptr<ProgramSet>> ProgramSet::Load(const PinFolder& pins,
                                                             bool without_newer_helpers) {
  Missing missing;
  if (const std::string why = WhyNoSecurityHooks(); !why.empty()) {
    for (const absl::string_view name : kSecurityHooks) missing[std::string(name)] = why;
  }
  while (true) {
    std::string refused;
    auto set = TryLoad(pins, without_newer_helpers, missing, refused);
    if (set.ok() || refused.empty()) return set;
    missing[refused] = std::string(set.status().message());
  }
}

absl::StatusOr<std::unique_ptr<ProgramSet>> ProgramSet::TryLoad(const PinFolder& pins,
                                                                bool without_newer_helpers,
                                                                const Missing& missing,
                                                                std::string& refused) {
  LibbpfWords words;
  libbpf_words = &words;
  libbpf_set_print(KeepWords);
  postern_bpf* skeleton = postern_bpf__open();
  if (skeleton == nullptr) {
    libbpf_words = nullptr;
    return ErrnoStatus(errno, "opening the BPF programs");
  }
  auto set = absl::WrapUnique(new ProgramSet(skeleton, missing));
  for (const auto& [name, why] : missing) {
    bpf_program__set_autoload(bpf_object__find_program_by_name(skeleton->obj, name.c_str()), false);
  }
  skeleton->rodata->postern_has_loop = !without_newer_helpers && HasHelper(BPF_FUNC_loop);
  skeleton->rodata->postern_has_set_retval =
      !without_newer_helpers && HasHelper(BPF_FUNC_set_retval);
  skeleton->rodata->postern_has_socket_storage = HasHelper(BPF_FUNC_sk_storage_get);
  skeleton->rodata->postern_has_mptcp =
      !without_newer_helpers && HasHelper(BPF_FUNC_skc_to_mptcp_sock);
  if (!skeleton->rodata->postern_has_socket_storage || !HasGetpeername()) {
    for (bpf_program* program : {skeleton->progs.show_peer4, skeleton->progs.show_peer6}) {
      bpf_program__set_autoload(program, false);
    }
  }
  absl::Status prepared = PreparePins(pins, skeleton->obj);
  words = {};
  const int error = prepared.ok() ? postern_bpf__load(skeleton) : 0;
  libbpf_words = nullptr;
  RETURN_IF_ERROR(prepared);
  if (error == 0) return set;
  refused = RefusedOptional(words);
  return ExplainLoadFailure(-error, words);
}

ProgramSet::~ProgramSet() { postern_bpf__destroy(skeleton_); }

BpfMap ProgramSet::map(absl::string_view name) const {
  const bpf_map* map = bpf_object__find_map_by_name(skeleton_->obj, std::string(name).c_str());
  if (map == nullptr) abort();
  return BpfMap(bpf_map__fd(map), name);
}

const bpf_program* ProgramSet::program(absl::string_view name) const {
  const bpf_program* program =
      bpf_object__find_program_by_name(skeleton_->obj, std::string(name).c_str());
  if (program == nullptr) abort();
  return program;
}

std::string ProgramSet::WhyMissing(absl::string_view program) const {
  const auto found = missing_.find(program);
  return found == missing_.end() ? "" : found->second;
}

}  // namespace postern::sensor
