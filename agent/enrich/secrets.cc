// SPDX-License-Identifier: Apache-2.0
#include "agent/enrich/secrets.h"

#include <algorithm>
#include <iterator>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "agent/enrich/program_name.h"

namespace postern::enrich {
namespace {

constexpr absl::string_view kWords[] = {
    "password", "passwd",      "passphrase", "passcode",  "pass",      "pwd",
    "pw",       "secret",      "token",      "key",       "apikey",    "credential",
    "bearer",   "credentials", "authtoken",  "accesskey", "secretkey", "accesstoken",
    "smtppass", "dbpass",      "userpass",   "passin",    "passout"};
// Options that say who logs in; a "-p" beside one of them holds the password.
constexpr absl::string_view kUserOptions[] = {"-u",     "-U",         "-user",  "--user",
                                              "-login", "--username", "--login"};

bool IsNameByte(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-' || c == '.';
}

// A short option that takes a secret, of programs whose name begins like this.
struct ShortOption {
  absl::string_view program;
  absl::string_view option;
  bool attached;  // -pSECRET
  bool separate;  // -p SECRET
  char after;     // the secret follows "user" and this; 0: it is all of the value
};
constexpr ShortOption kShortOptions[] = {
    {"mysql", "-p", true, false, 0},      {"mariadb", "-p", true, false, 0},
    {"mongo", "-p", true, true, 0},       {"sshpass", "-p", true, true, 0},
    {"swaks", "-ap", false, true, 0},     {"sendemail", "-xp", false, true, 0},
    {"sendEmail", "-xp", false, true, 0}, {"curl", "-u", true, true, ':'},
    {"curl", "--user", false, true, ':'}, {"lftp", "-u", true, true, ','},
    {"smbclient", "-U", true, true, '%'}, {"redis-cli", "-a", false, true, 0},
    {"ldap", "-w", true, true, 0},
};

void MaskAfter(char separator, std::string& text, size_t from) {
  const size_t at = text.find(separator, from);
  if (at != std::string::npos) text.replace(at + 1, std::string::npos, kMask);
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

// Where the value begins behind the separator at `at`, or npos where that is none:
// "=", "=>", or ":" before a blank or a quote, all with blanks around them or none.
size_t ValueBehind(absl::string_view arg, size_t at) {
  if (arg[at] == ':') {
    const bool separates = at + 1 < arg.size() && absl::StrContains(" \"'", arg[at + 1]);
    return separates ? arg.find_first_not_of(' ', at + 1) : absl::string_view::npos;
  }
  const size_t next = at + 1;
  if (next < arg.size() && arg[next] == '=') return absl::string_view::npos;
  return arg.find_first_not_of(' ', next < arg.size() && arg[next] == '>' ? next + 1 : next);
}

// "NAME=SECRET" and its like in shells, scripts, JSON and headers, wherever it
// stands. A value in quotes ends with them; an option's and a header's with the
// argument; another's at what ends a value in URLs and shells.
void MaskAssignments(std::string& arg) {
  size_t separator = 0;
  while ((separator = arg.find_first_of("=:", separator)) != std::string::npos) {
    const size_t value = ValueBehind(arg, separator);
    size_t name_end = separator;
    while (name_end > 0 && absl::StrContains(" \"'", arg[name_end - 1])) --name_end;
    size_t begin = name_end;
    while (begin > 0 && IsNameByte(arg[begin - 1])) --begin;
    const absl::string_view name = absl::string_view(arg).substr(begin, name_end - begin);
    const bool to_the_end = begin == 0 && (arg[separator] == ':' || arg[0] == '-');
    ++separator;
    if (value == std::string::npos || !NamesSecret(name)) continue;
    size_t end = arg.size();
    size_t first = value;
    if (arg[value] == '"' || arg[value] == '\'') {
      first = value + 1;
      end = arg.find(arg[value], first);
    } else if (!to_the_end) {
      end = arg.find_first_of("&; \t\"'", value);
    }
    end = std::min(end, arg.size());
    arg.replace(first, end - first, kMask);
    separator = first + sizeof(kMask) - 1;
  }
}

// Whether the next argument is the secret of this one.
bool AsksForSecret(absl::string_view arg) {
  return absl::StartsWith(arg, "-") && !absl::StrContains(arg, '=') &&
         // One letter after one hyphen is a name of too little weight.
         arg.size() > 2 && NamesSecret(arg);
}

bool Takes(absl::string_view program, const ShortOption& known) {
  return absl::StartsWith(program, known.program);
}

bool NamesUser(absl::string_view arg) {
  for (const absl::string_view option : kUserOptions) {
    absl::string_view rest = arg;
    if (absl::ConsumePrefix(&rest, option) && (rest.empty() || rest.front() == '=')) return true;
  }
  return false;
}

// Whether "-p x" is taken for a password: programs that are not known for another
// meaning of it, where somebody logs in.
bool TakesPassword(absl::string_view program, const v1::Event& event) {
  return std::any_of(event.args().begin(), event.args().end(), NamesUser) &&
         std::none_of(std::begin(kShortOptions), std::end(kShortOptions),
                      [program](const ShortOption& known) {
                        return Takes(program, known) && known.option == "-p";
                      });
}

// "25", "8025:25", "127.0.0.1:25": what "-p" means to most programs.
bool LooksLikePort(absl::string_view value) {
  return value.find_first_not_of("0123456789.:") == absl::string_view::npos;
}

}  // namespace

bool NamesSecret(absl::string_view name) {
  // Words end at hyphens, dots, underscores, and where a capital follows a small letter.
  std::string word;
  const auto is_secret = [&word] {
    return std::find(std::begin(kWords), std::end(kWords), word) != std::end(kWords);
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
  const bool takes_password = TakesPassword(program, event);
  bool next_is_secret = false;
  char next_after = 0;
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
    if (next_after != 0) MaskAfter(next_after, arg, 0);
    next_after = 0;
    next_is_secret = i > 0 && AsksForSecret(arg);
    if (i > 0 && arg == "-p" && takes_password && i + 1 < event.args_size()) {
      next_is_secret = !LooksLikePort(event.args(i + 1));
    }
    MaskUserInfo(arg);
    MaskHeader(arg);
    MaskAssignments(arg);
    for (const ShortOption& known : kShortOptions) {
      if (i == 0 || !Takes(program, known) || !absl::StartsWith(arg, known.option)) continue;
      if (arg.size() == known.option.size()) {
        if (known.separate && known.after == 0) next_is_secret = true;
        if (known.separate) next_after = known.after;
      } else if (known.attached && known.after != 0) {
        MaskAfter(known.after, arg, known.option.size());
      } else if (known.attached) {
        arg.replace(known.option.size(), std::string::npos, kMask);
      }
    }
  }
}

}  // namespace postern::enrich
