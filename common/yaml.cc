// SPDX-License-Identifier: Apache-2.0
#include "common/yaml.h"

#include <algorithm>
#include <limits>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/cut_text.h"
#include "common/nearest_name.h"
#include "common/small_file.h"
#include "common/yaml_syntax.h"

namespace postern {
namespace {

int LineOf(const YAML::Mark& mark) { return mark.line < 0 ? 0 : mark.line + 1; }

// Splits "256MiB" into its number and its unit; false where there is no number.
bool SplitUnit(absl::string_view text, uint64_t& number, absl::string_view& unit) {
  const size_t digits = static_cast<size_t>(
      std::find_if_not(text.begin(), text.end(), absl::ascii_isdigit) - text.begin());
  unit = absl::StripLeadingAsciiWhitespace(text.substr(digits));
  return digits > 0 && absl::SimpleAtoi(text.substr(0, digits), &number);
}

}  // namespace

std::string YamlFault::ToString() const {
  return line > 0 ? absl::StrCat(file, ":", line, ": ", message)
                  : absl::StrCat(file, ": ", message);
}

YAML::Node YamlReader::Load() {
  const absl::StatusOr<std::string> text = ReadSmallFile(file_, kMaxFileBytes, Links::kFollow);
  if (!text.ok()) {
    AddFault(0, text.status().message());
    return YAML::Node(YAML::NodeType::Map);
  }
  return Parse(*text);
}

YAML::Node YamlReader::Parse(absl::string_view text) {
  const YAML::Node empty(YAML::NodeType::Map);
  if (text.size() > kMaxFileBytes) {
    AddFault(0, absl::StrCat("larger than ", kMaxFileBytes, " bytes: this is no configuration"));
    return empty;
  }
  if (const std::optional<YamlSyntaxFault> fault = FindYamlSyntaxFault(text, kMaxDepth)) {
    AddFault(fault->line, fault->message);
    return empty;
  }
  try {
    return YAML::Load(std::string(text));
  } catch (const YAML::Exception& e) {
    AddFault(LineOf(e.mark), absl::StrCat("not valid YAML: ", e.msg));
  }
  return empty;
}

bool YamlReader::CheckMap(const YAML::Node& node, absl::string_view what,
                          absl::Span<const absl::string_view> known) {
  if (!node.IsDefined() || !node.IsMap()) {
    AddFault(node, absl::StrCat(what, " wants 'key: value' lines"));
    return false;
  }
  std::set<std::string> seen;
  for (const auto& entry : node) {
    if (!entry.first.IsScalar()) {
      AddFault(entry.first, absl::StrCat(what, " has a key that is not a word"));
      continue;
    }
    const std::string& key = entry.first.Scalar();
    if (std::find(known.begin(), known.end(), absl::string_view(key)) == known.end()) {
      AddFault(entry.first,
               absl::StrCat("unknown key '", key, "' in ", what, "; the nearest known one is '",
                            NearestName(key, known), "'"));
    } else if (!seen.insert(key).second) {
      AddFault(entry.first, absl::StrCat("'", key, "' is given twice in ", what));
    }
  }
  return true;
}

YAML::Node YamlReader::Get(const YAML::Node& map, absl::string_view key) {
  if (!map.IsDefined() || !map.IsMap()) return YAML::Node(YAML::NodeType::Undefined);
  // Not by operator[]: it would insert into a map that is not const.
  for (const auto& entry : map) {
    if (entry.first.IsScalar() && absl::string_view(entry.first.Scalar()) == key) {
      return entry.second;
    }
  }
  return YAML::Node(YAML::NodeType::Undefined);
}

bool YamlReader::Has(const YAML::Node& map, absl::string_view key) {
  return Get(map, key).IsDefined();
}

int YamlReader::Line(const YAML::Node& node) { return node.IsDefined() ? LineOf(node.Mark()) : 0; }

int YamlReader::KeyLine(const YAML::Node& map, absl::string_view key) {
  if (!map.IsDefined() || !map.IsMap()) return 0;
  for (const auto& entry : map) {
    if (entry.first.IsScalar() && absl::string_view(entry.first.Scalar()) == key) {
      return Line(entry.first);
    }
  }
  return 0;
}

std::optional<YamlText> YamlReader::Text(const YAML::Node& map, absl::string_view key) {
  const YAML::Node node = Get(map, key);
  if (!node.IsDefined()) return std::nullopt;
  if (!node.IsScalar() || node.Scalar().empty()) {
    AddFault(KeyLine(map, key), absl::StrCat("'", key, "' wants one value"));
    return std::nullopt;
  }
  return YamlText{node.Scalar(), Line(node)};
}

std::vector<YamlText> YamlReader::Texts(const YAML::Node& map, absl::string_view key) {
  const YAML::Node node = Get(map, key);
  if (!node.IsDefined()) return {};
  if (!node.IsSequence()) {
    std::optional<YamlText> one = Text(map, key);
    if (!one) return {};
    return {*std::move(one)};
  }
  std::vector<YamlText> texts;
  for (const YAML::Node& item : node) {
    if (!item.IsScalar() || item.Scalar().empty()) {
      AddFault(item, absl::StrCat("'", key, "' wants one value or a list of values"));
      continue;
    }
    texts.push_back({item.Scalar(), Line(item)});
  }
  return texts;
}

std::optional<YamlText> YamlReader::Choice(const YAML::Node& map, absl::string_view key,
                                           absl::Span<const absl::string_view> choices) {
  std::optional<YamlText> text = Text(map, key);
  if (!text) return std::nullopt;
  if (std::find(choices.begin(), choices.end(), absl::string_view(text->text)) == choices.end()) {
    AddFault(text->line, absl::StrCat("'", key, "' cannot be '", text->text, "': it is one of ",
                                      absl::StrJoin(choices, ", "), "; the nearest is '",
                                      NearestName(text->text, choices), "'"));
    return std::nullopt;
  }
  return text;
}

std::optional<bool> YamlReader::Bool(const YAML::Node& map, absl::string_view key) {
  const std::optional<YamlText> text = Text(map, key);
  if (!text) return std::nullopt;
  if (text->text == "true") return true;
  if (text->text == "false") return false;
  AddFault(text->line, absl::StrCat("'", key, "' is true or false, not '", text->text, "'"));
  return std::nullopt;
}

std::optional<YamlNumber> YamlReader::ToNumber(const YamlText& text, absl::string_view key,
                                               uint64_t min, uint64_t max) {
  uint64_t value = 0;
  const bool digits = std::all_of(text.text.begin(), text.text.end(), absl::ascii_isdigit);
  if (!digits || !absl::SimpleAtoi(text.text, &value) || value < min || value > max) {
    AddFault(text.line, absl::StrCat("'", key, "' wants a number from ", min, " to ", max,
                                     ", not '", text.text, "'"));
    return std::nullopt;
  }
  return YamlNumber{value, text.line};
}

std::optional<YamlNumber> YamlReader::Number(const YAML::Node& map, absl::string_view key,
                                             uint64_t min, uint64_t max) {
  const std::optional<YamlText> text = Text(map, key);
  if (!text) return std::nullopt;
  return ToNumber(*text, key, min, max);
}

std::vector<YamlNumber> YamlReader::Numbers(const YAML::Node& map, absl::string_view key,
                                            uint64_t min, uint64_t max) {
  std::vector<YamlNumber> numbers;
  for (const YamlText& text : Texts(map, key)) {
    if (std::optional<YamlNumber> number = ToNumber(text, key, min, max)) {
      numbers.push_back(*number);
    }
  }
  return numbers;
}

std::optional<uint64_t> YamlReader::Bytes(const YAML::Node& map, absl::string_view key) {
  const std::optional<YamlText> text = Text(map, key);
  if (!text) return std::nullopt;
  static constexpr absl::string_view kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  uint64_t number = 0;
  absl::string_view unit;
  if (SplitUnit(text->text, number, unit)) {
    if (unit.empty()) return number;
    for (size_t i = 0; i < std::size(kUnits); ++i) {
      if (unit != kUnits[i]) continue;
      if (number <= std::numeric_limits<uint64_t>::max() >> (10 * i)) return number << (10 * i);
    }
  }
  AddFault(text->line, absl::StrCat("'", key, "' wants an amount like 256MiB (",
                                    absl::StrJoin(kUnits, ", "), "), not '", text->text, "'"));
  return std::nullopt;
}

std::optional<absl::Duration> YamlReader::Duration(const YAML::Node& map, absl::string_view key) {
  const std::optional<YamlText> text = Text(map, key);
  if (!text) return std::nullopt;
  static constexpr std::pair<absl::string_view, uint64_t> kUnits[] = {
      {"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}, {"w", 7 * 86400}};
  // Nanoseconds in 64 bits hold 292 years.
  static constexpr uint64_t kMaxSeconds = uint64_t{290} * 365 * 86400;
  uint64_t number = 0;
  absl::string_view unit;
  if (SplitUnit(text->text, number, unit)) {
    for (const auto& [name, seconds] : kUnits) {
      if (unit == name && number > 0 && number <= kMaxSeconds / seconds) {
        return absl::Seconds(static_cast<int64_t>(number * seconds));
      }
    }
  }
  AddFault(text->line,
           absl::StrCat("'", key, "' wants a time above 0 like 90d (s, m, h, d, w), not '",
                        text->text, "'"));
  return std::nullopt;
}

std::vector<YAML::Node> YamlReader::Items(const YAML::Node& map, absl::string_view key) {
  const YAML::Node node = Get(map, key);
  if (!node.IsDefined()) return {};
  if (!node.IsSequence()) {
    AddFault(KeyLine(map, key),
             absl::StrCat("'", key, "' wants a list (lines that begin with '-')"));
    return {};
  }
  std::vector<YAML::Node> items;
  for (const YAML::Node& item : node) items.push_back(item);
  return items;
}

void YamlReader::AddFault(int line, absl::string_view message) {
  faults_.push_back({file_, line, CutMiddle(message, kMessageBytes)});
}

void YamlReader::AddFault(const YAML::Node& node, absl::string_view message) {
  AddFault(Line(node), message);
}

std::vector<YamlFault> YamlReader::faults() const {
  std::vector<YamlFault> sorted = faults_;
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const YamlFault& a, const YamlFault& b) { return a.line < b.line; });
  return sorted;
}

}  // namespace postern
