// SPDX-License-Identifier: Apache-2.0
#include "agent/enrich/secrets.h"

#include <algorithm>
#include <array>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "agent/enrich/program_name.h"

namespace postern::enrich {
namespace {

constexpr char kMask[] = "***";

constexpr std::array<absl::string_view, 13> kWords = {
    "password", "passwd", "passphrase", "pass",   "pwd",         "secret",   "token",
    "key",      "apikey", "credential", "bearer", "credentials", "authtoken"};

bool IsNameByte(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-' || c == '.';
}

// A short option that takes a secret, of programs with this name.
struct ShortOption {
  absl::string_view program;
  absl::string_view option;
  bool attached;     // -pSECRET
  bool separate;     // -p SECRET
  bool after_colon;  // the secret follows "user:"
};
constexpr ShortOption kShortOptions[] = {
    {"mysql", "-p", true, false, false},      {"mysqldump", "-p", true, false, false},
    {"mysqladmin", "-p", true, false, false}, {"mariadb", "-p", true, false, false},
    {"sshpass", "-p", true, true, false},     {"swaks", "-ap", false, true, false},
    {"curl", "-u", true, true, true},         {"curl", "--user", false, true, true},
    {"redis-cli", "-a", false, true, false},  {"ldapsearch", "-w", true, true, false},
};

void MaskAfterColon(std::string& text, size_t from) {
  const size_t colon = text.find(':', from);
  if (colon != std::string::npos) text.replace(colon + 1, std::string::npos, kMask);
}

// "scheme://user:SECRET@host", each one in the argument.
void MaskUserInfo(std::string& arg) {
  size_t from = 0;
  while ((from = arg.find("://", from)) != std::string::npos) {
    from += 3;
    const size_t end = std::min(arg.find_first_of("/?# \t\"'", from), arg.size());
    const size_t at = arg.rfind('@', end == 0 ? 0 : end - 1);
    const size_t colon = arg.find(':', from);
    if (at == std::string::npos || at < from || colon > at) continue;
    arg.replace(colon + 1, at - colon - 1, kMask);
    from = colon + 1;
  }
}

// "Authorization: Basic SECRET", to the end of the argument.
void MaskHeader(std::string& arg) {
  const std::string lower = absl::AsciiStrToLower(arg);
  const size_t header = lower.find("authorization:");
  if (header == std::string::npos) return;
  size_t value = arg.find_first_not_of(' ', header + 14);
  if (value == std::string::npos) return;
  const size_t blank = arg.find(' ', value);
  if (blank != std::string::npos) value = blank + 1;
  arg.replace(value, std::string::npos, kMask);
}

// "NAME=SECRET" wherever it stands. A value in quotes ends with them; an option's
// value with the argument; another's at what ends a value in URLs and shells.
void MaskAssignments(std::string& arg) {
  size_t equals = 0;
  while ((equals = arg.find('=', equals)) != std::string::npos) {
    size_t begin = equals;
    while (begin > 0 && IsNameByte(arg[begin - 1])) --begin;
    const absl::string_view name = absl::string_view(arg).substr(begin, equals - begin);
    const size_t value = ++equals;
    if (!NamesSecret(name) || value >= arg.size()) continue;
    size_t end = arg.size();
    size_t first = value;
    if (arg[value] == '"' || arg[value] == '\'') {
      first = value + 1;
      end = arg.find(arg[value], first);
    } else if (begin > 0 || arg[0] != '-') {
      end = arg.find_first_of("&; \t\"'", value);
    }
    end = std::min(end, arg.size());
    arg.replace(first, end - first, kMask);
    equals = first + sizeof(kMask) - 1;
  }
}

// Whether the next argument is the secret of this one.
bool AsksForSecret(absl::string_view arg) {
  return absl::StartsWith(arg, "-") && !absl::StrContains(arg, '=') &&
         // One letter after one hyphen is a name of too little weight.
         arg.size() > 2 && NamesSecret(arg);
}

}  // namespace

bool NamesSecret(absl::string_view name) {
  // Words end at hyphens, dots, underscores, and where a capital follows a small letter.
  std::string word;
  const auto is_secret = [&word] {
    return std::find(kWords.begin(), kWords.end(), word) != kWords.end();
  };
  bool small_before = false;
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    if (!absl::ascii_isalnum(byte) || (absl::ascii_isupper(byte) && small_before)) {
      if (is_secret()) return true;
      word.clear();
    }
    if (absl::ascii_isalnum(byte)) word.push_back(absl::ascii_tolower(byte));
    small_before = absl::ascii_islower(byte);
  }
  if (is_secret()) return true;
  const std::string lower = absl::AsciiStrToLower(name);
  return absl::StrContains(lower, "password") || absl::StrContains(lower, "passwd");
}

void MaskSecrets(v1::Event& event) {
  const std::string program = ProgramName(event.exe());
  bool next_is_secret = false;
  bool next_after_colon = false;
  for (int i = 0; i < event.args_size(); ++i) {
    std::string& arg = *event.mutable_args(i);
    // What was cut between head and tail may end in the middle of a secret.
    const bool continues = i > 0 && event.args_omitted_bytes() > 0 &&
                           static_cast<uint32_t>(i) == event.args_cut_at() &&
                           absl::EndsWith(event.args(i - 1), kMask);
    if (continues || (next_is_secret && !absl::StartsWith(arg, "-"))) {
      arg = kMask;
      next_is_secret = false;
      continue;
    }
    if (next_after_colon) MaskAfterColon(arg, 0);
    next_after_colon = false;
    next_is_secret = i > 0 && AsksForSecret(arg);
    MaskUserInfo(arg);
    MaskHeader(arg);
    MaskAssignments(arg);
    for (const ShortOption& known : kShortOptions) {
      if (i == 0 || known.program != program || !absl::StartsWith(arg, known.option)) continue;
      if (arg.size() == known.option.size()) {
        (known.after_colon ? next_after_colon : next_is_secret) |= known.separate;
      } else if (known.attached && known.after_colon) {
        MaskAfterColon(arg, known.option.size());
      } else if (known.attached) {
        arg.replace(known.option.size(), std::string::npos, kMask);
      }
    }
  }
}

}  // namespace postern::enrich
