// SPDX-License-Identifier: Apache-2.0
#include "agent/enrich/script.h"

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "agent/enrich/program_name.h"

namespace postern::enrich {
namespace {

// Letters of an interpreter's short options. A cluster ("-we") is read letter by
// letter; what a letter takes is the rest of the cluster or the next argument.
struct Interpreter {
  absl::string_view name;
  absl::string_view code;      // takes the program itself: there is no script
  absl::string_view script;    // takes the script
  absl::string_view value;     // takes a value, attached or next
  absl::string_view attached;  // takes the rest of the cluster, if any
  // Long options, separated by blanks; "name=value" needs no mention.
  absl::string_view long_code;
  absl::string_view long_script;
  absl::string_view long_value;
};

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

const Interpreter* FindInterpreter(absl::string_view exe) {
  const std::string name = ProgramName(exe);
  for (const Interpreter& interpreter : kInterpreters) {
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
    const bool option = absl::StartsWith(arg, "-") ||
                        (absl::StartsWith(arg, "+") && absl::EndsWith(interpreter->name, "sh"));
    if (!option) return std::string(arg);
    const Reading reading = ReadOption(*interpreter, arg);
    if (reading.next == Next::kNone) return "";
    if (!reading.script.empty()) return std::string(reading.script);
    next = reading.next;
  }
  return "";
}

}  // namespace postern::enrich
