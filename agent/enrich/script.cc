// SPDX-License-Identifier: Apache-2.0
#include "agent/enrich/script.h"

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "agent/enrich/program_name.h"
#include "agent/sensor/interpreters.h"

namespace postern::enrich {
namespace {

using sensor::Interpreter;

const Interpreter* FindInterpreter(absl::string_view exe) {
  const std::string name = ProgramName(exe);
  for (const Interpreter& interpreter : sensor::Interpreters()) {
    if (interpreter.name == name) return &interpreter;
  }
  return nullptr;
}

bool Holds(absl::string_view letters, char letter) {
  return letters.find(letter) != absl::string_view::npos;
}

bool Lists(absl::string_view words, absl::string_view word) {
  for (absl::string_view known : absl::StrSplit(words, ' ', absl::SkipEmpty())) {
    if (known == word) return true;
  }
  return false;
}

enum class Next { kOption, kValue, kScript, kNone };

struct Reading {
  Next next = Next::kOption;
  absl::string_view script;  // attached to its option
};

Reading ReadOption(const Interpreter& interpreter, absl::string_view arg) {
  if (absl::StartsWith(arg, "--") || Lists(interpreter.long_value, arg)) {
    const size_t equals = arg.find('=');
    const absl::string_view name = arg.substr(0, equals);
    const bool attached = equals != absl::string_view::npos;
    if (Lists(interpreter.long_code, name)) return {Next::kNone, {}};
    if (Lists(interpreter.long_script, name)) {
      return {Next::kScript, attached ? arg.substr(equals + 1) : absl::string_view()};
    }
    return {!attached && Lists(interpreter.long_value, name) ? Next::kValue : Next::kOption, {}};
  }
  for (size_t i = 1; i < arg.size(); ++i) {
    const char letter = arg[i];
    const absl::string_view rest = arg.substr(i + 1);
    if (Holds(interpreter.code, letter)) return {Next::kNone, {}};
    if (Holds(interpreter.script, letter)) return {Next::kScript, rest};
    if (Holds(interpreter.value, letter)) return {rest.empty() ? Next::kValue : Next::kOption, {}};
    if (Holds(interpreter.attached, letter)) break;
  }
  return {};
}

}  // namespace

std::string ScriptFromArgs(const v1::Event& event) {
  const Interpreter* interpreter = FindInterpreter(event.exe());
  if (interpreter == nullptr) return "";
  const int cut_at =
      event.args_omitted_bytes() > 0 ? static_cast<int>(event.args_cut_at()) : event.args_size();
  Next next = Next::kOption;
  for (int i = 1; i < event.args_size(); ++i) {
    const absl::string_view arg = event.args(i);
    // The last argument of the head may be cut, and what follows it is its end.
    if (i >= cut_at - 1 && cut_at != event.args_size()) return "";
    if (next == Next::kValue) {
      next = Next::kOption;
      continue;
    }
    if (next == Next::kScript) return std::string(arg);
    if (arg == "--") {
      next = Next::kScript;
      continue;
    }
    // "-" is standard input; a shell's "+x" is an option.
    if (arg == "-") return "";
    const bool option =
        absl::StartsWith(arg, "-") || (absl::StartsWith(arg, "+") && interpreter->is_shell());
    if (!option) return std::string(arg);
    const Reading reading = ReadOption(*interpreter, arg);
    if (reading.next == Next::kNone) return "";
    if (!reading.script.empty()) return std::string(reading.script);
    next = reading.next;
  }
  return "";
}

}  // namespace postern::enrich
