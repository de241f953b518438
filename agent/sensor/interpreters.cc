// SPDX-License-Identifier: Apache-2.0
#include "agent/sensor/interpreters.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "bpf/abi/interpreter.h"
#include "common/status.h"

namespace postern::sensor {
namespace {

constexpr Interpreter kInterpreters[] = {
    {"php", "rBRES", "fF", "cdtz", "",
     "--run --process-code --process-begin --process-end --server", "--file --process-file",
     "--php-ini --define --docroot --zend-extension"},
    {"php-cgi", "", "f", "cdTzb", "", "", "", ""},
    {"perl", "eE", "", "I", "0CDFilMmxV", "", "", ""},
    {"python", "cm", "", "WX", "", "", "", "--check-hash-based-pycs"},
    {"pypy", "cm", "", "WX", "", "", "", "--jit"},
    {"ruby", "e", "", "ICrEX", "0FKTWix", "", "", "--encoding --external-encoding"},
    {"sh", "cs", "", "oO", "", "", "", ""},
    {"bash", "cs", "", "oO", "", "", "", "--rcfile --init-file"},
    {"dash", "cs", "", "o", "", "", "", ""},
    {"ash", "cs", "", "o", "", "", "", ""},
    {"ksh", "cs", "", "o", "", "", "", ""},
    {"zsh", "cs", "", "o", "", "", "", ""},
    {"node", "ep", "", "rC", "", "--eval --print", "", "--require --import --loader --conditions"},
    {"nodejs", "ep", "", "rC", "", "--eval --print", "",
     "--require --import --loader --conditions"},
    {"lua", "", "", "el", "", "", "", ""},
    {"tclsh", "", "", "", "", "", "", "-encoding"},
    {"expect", "c", "f", "", "d", "", "", ""},
};

// Zeros fill up the rest; nothing in the table is too long for it.
template <size_t n>
absl::Status CopyName(absl::string_view name, char (&to)[n]) {
  if (name.size() >= n) return absl::InternalError(absl::StrCat(name, " is too long for its map"));
  std::copy(name.begin(), name.end(), to);
  return absl::OkStatus();
}

postern_interpreter Entry(const Interpreter& interpreter, uint32_t number) {
  postern_interpreter entry = {};
  entry.number = number;
  entry.plus_options = interpreter.is_shell();
  const std::pair<absl::string_view, postern_option> letters[] = {
      {interpreter.attached, POSTERN_OPTION_ATTACHED},
      {interpreter.value, POSTERN_OPTION_VALUE},
      {interpreter.script, POSTERN_OPTION_SCRIPT},
      {interpreter.code, POSTERN_OPTION_CODE}};
  for (const auto& [known, takes] : letters) {
    for (const char letter : known) entry.option[static_cast<unsigned char>(letter)] = takes;
  }
  return entry;
}

}  // namespace

absl::Span<const Interpreter> Interpreters() { return kInterpreters; }

absl::Status WriteInterpreters(const BpfMap& names, const BpfMap& long_options) {
  uint32_t number = 0;
  for (const Interpreter& interpreter : kInterpreters) {
    postern_interpreter_name name = {};
    RETURN_IF_ERROR(CopyName(interpreter.name, name.text));
    postern_interpreter entry = Entry(interpreter, ++number);
    const std::pair<absl::string_view, uint32_t> options[] = {
        {interpreter.long_value, POSTERN_OPTION_VALUE},
        {interpreter.long_script, POSTERN_OPTION_SCRIPT},
        {interpreter.long_code, POSTERN_OPTION_CODE}};
    for (const auto& [known, takes] : options) {
      for (absl::string_view text : absl::StrSplit(known, ' ', absl::SkipEmpty())) {
        postern_long_option option = {};
        option.interpreter = number;
        RETURN_IF_ERROR(CopyName(text, option.text));
        RETURN_IF_ERROR(long_options.Update(&option, &takes));
        if (!absl::StartsWith(text, "--")) entry.single_dash = 1;
      }
    }
    RETURN_IF_ERROR(names.Update(&name, &entry));
  }
  return absl::OkStatus();
}

}  // namespace postern::sensor
