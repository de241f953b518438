// SPDX-License-Identifier: Apache-2.0
#include "agent/enrich/cgroup_names.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace postern::enrich {
namespace {

constexpr size_t kIdDigits = 64;
constexpr size_t kShownDigits = 12;

std::vector<absl::string_view> Components(absl::string_view path) {
  return absl::StrSplit(path, '/', absl::SkipEmpty());
}

// systemd puts "_" before a name that would read as one of the kernel's own files.
absl::string_view Unescaped(absl::string_view component) {
  absl::ConsumePrefix(&component, "_");
  return component;
}

bool IsId(absl::string_view text) {
  return text.size() == kIdDigits && std::all_of(text.begin(), text.end(), [](unsigned char c) {
           return absl::ascii_isxdigit(c);
         });
}

// "RUNTIME-ID.scope", or the bare id under a runtime's folder.
std::optional<absl::string_view> IdOf(absl::string_view component) {
  absl::ConsumeSuffix(&component, ".scope");
  const size_t hyphen = component.rfind('-');
  const absl::string_view id =
      hyphen == absl::string_view::npos ? component : component.substr(hyphen + 1);
  if (!IsId(id)) return std::nullopt;
  // Podman's and CRI-O's monitor, which runs outside of the container.
  if (absl::StrContains(component, "conmon")) return std::nullopt;
  return id.substr(0, kShownDigits);
}

// systemd writes bytes that unit names do not have as \xNN; the decoder writes
// each backslash twice.
std::string UnitText(absl::string_view escaped) {
  return absl::StrReplaceAll(escaped, {{"\\\\x2d", "-"}, {"\\x2d", "-"}});
}

std::optional<std::string> NameOf(absl::string_view component, absl::string_view parent) {
  if (absl::ConsumePrefix(&component, "lxc.payload.")) return std::string(component);
  if (parent == "lxc" || parent == "lxc.payload") return std::string(component);
  if (absl::ConsumePrefix(&component, "systemd-nspawn@") &&
      absl::ConsumeSuffix(&component, ".service")) {
    return UnitText(component);
  }
  if (parent == "machine.slice" && absl::ConsumePrefix(&component, "machine-") &&
      absl::ConsumeSuffix(&component, ".scope")) {
    // libvirt's virtual machines are no containers.
    if (absl::StartsWith(component, "qemu")) return std::nullopt;
    return UnitText(component);
  }
  return std::nullopt;
}

}  // namespace

std::string UnitOf(absl::string_view path) {
  absl::string_view slice;
  for (absl::string_view component : Components(path)) {
    component = Unescaped(component);
    if (absl::EndsWith(component, ".slice")) {
      slice = component;
      continue;
    }
    if (absl::EndsWith(component, ".service") || absl::EndsWith(component, ".scope") ||
        absl::EndsWith(component, ".socket") || absl::EndsWith(component, ".mount") ||
        absl::EndsWith(component, ".swap")) {
      return std::string(component);
    }
    break;
  }
  return std::string(slice);
}

std::string ContainerOf(absl::string_view path) {
  std::string container;
  absl::string_view parent;
  for (const absl::string_view component : Components(path)) {
    if (const auto id = IdOf(component); id.has_value()) {
      container = std::string(*id);
    } else if (const auto name = NameOf(component, parent); name.has_value()) {
      container = *name;
    }
    parent = component;
  }
  return container;
}

}  // namespace postern::enrich
