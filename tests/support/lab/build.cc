// SPDX-License-Identifier: Apache-2.0
#include "tests/support/lab/build.h"

#include <bpf/bpf.h>
#include <elf.h>

#include <cstring>
#include <optional>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/unique_fd.h"
#include "tests/support/lab/files.h"

namespace postern::lab {
namespace {

constexpr char kMov32One[] = "\xb4\x00\x00\x00\x01\x00\x00\x00";  // w0 = 1
constexpr char kMov64Code = '\xb7';
constexpr size_t kInstruction = 8;

template <typename T>
std::optional<T> At(absl::string_view bytes, size_t offset) {
  if (offset > bytes.size() || bytes.size() - offset < sizeof(T)) return std::nullopt;
  T value;
  memcpy(&value, bytes.data() + offset, sizeof(T));
  return value;
}

// A section of the ELF object that begins `object`.
struct Section {
  size_t offset = 0;
  size_t size = 0;
};
std::optional<Section> FindSection(absl::string_view object, absl::string_view name) {
  const auto header = At<Elf64_Ehdr>(object, 0);
  if (!header.has_value()) return std::nullopt;
  const auto section = [&](size_t index) {
    return At<Elf64_Shdr>(object, header->e_shoff + index * sizeof(Elf64_Shdr));
  };
  const auto names = section(header->e_shstrndx);
  if (!names.has_value()) return std::nullopt;
  for (size_t i = 0; i < header->e_shnum; ++i) {
    const auto found = section(i);
    if (!found.has_value()) return std::nullopt;
    const size_t at = names->sh_offset + found->sh_name;
    if (at + name.size() >= object.size() || object[at + name.size()] != '\0') continue;
    if (object.substr(at, name.size()) == name) return Section{found->sh_offset, found->sh_size};
  }
  return std::nullopt;
}

// Where in `file` the skeleton keeps its object.
size_t FindBpfObject(absl::string_view file) {
  for (size_t at = file.find(ELFMAG, 1); at != absl::string_view::npos;
       at = file.find(ELFMAG, at + 1)) {
    const auto header = At<Elf64_Ehdr>(file, at);
    if (header.has_value() && header->e_machine == EM_BPF) return at;
  }
  return absl::string_view::npos;
}

}  // namespace

absl::Status MakeOtherBuild(const std::string& posternd, const std::string& to) {
  std::string file = ReadFile(posternd);
  const size_t begin = FindBpfObject(file);
  if (begin == std::string::npos) {
    return absl::NotFoundError(absl::StrCat(posternd, " has no BPF object"));
  }
  for (const char* name : {"cgroup/connect4", "cgroup/connect6"}) {
    const absl::string_view object = absl::string_view(file).substr(begin);
    const auto section = FindSection(object, name);
    if (!section.has_value()) {
      return absl::NotFoundError(absl::StrCat(posternd, " has no section ", name));
    }
    const absl::string_view wanted(kMov32One, kInstruction);
    size_t at = section->offset;
    const size_t end = section->offset + section->size;
    while (at + kInstruction <= end && object.substr(at, kInstruction) != wanted)
      at += kInstruction;
    if (at + kInstruction > end) {
      return absl::NotFoundError(absl::StrCat(name, " has no `w0 = 1` to replace"));
    }
    file[begin + at] = kMov64Code;
  }
  WriteFile(to, file, 0755);
  return absl::OkStatus();
}

PinnedLink ReadLink(const std::string& path) {
  PinnedLink link;
  const UniqueFd fd(bpf_obj_get(path.c_str()));
  bpf_link_info info = {};
  uint32_t bytes = sizeof(info);
  if (!fd.valid() || bpf_obj_get_info_by_fd(fd.get(), &info, &bytes) != 0) return link;
  link.id = info.id;
  link.program = info.prog_id;
  const UniqueFd program(bpf_prog_get_fd_by_id(info.prog_id));
  bpf_prog_info about = {};
  bytes = sizeof(about);
  if (!program.valid() || bpf_obj_get_info_by_fd(program.get(), &about, &bytes) != 0) return link;
  link.tag = absl::BytesToHexString(
      absl::string_view(reinterpret_cast<const char*>(about.tag), sizeof(about.tag)));
  return link;
}

}  // namespace postern::lab
