// SPDX-License-Identifier: Apache-2.0
#include "common/yaml_syntax.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <sstream>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/utf8.h"

namespace postern {
namespace {

using Fault = YamlSyntaxFault;

int LineOf(const YAML::Mark& mark) { return mark.line < 0 ? 0 : mark.line + 1; }

// Length of the quoted scalar that `text` begins with; npos where the quote is
// not closed.
size_t QuotedLength(absl::string_view text) {
  const char quote = text[0];
  for (size_t i = 1; i < text.size(); ++i) {
    if (quote == '"' && text[i] == '\\') {
      ++i;
    } else if (text[i] == quote) {
      if (quote == '"' || i + 1 == text.size() || text[i + 1] != quote) return i + 1;
      ++i;  // '' stands for one
    }
  }
  return absl::string_view::npos;
}

// Told of what yaml-cpp finds; throws the Fault, for there is no other way to
// stop its parser.
class Inspector : public YAML::EventHandler {
 public:
  Inspector(const std::vector<absl::string_view>& lines, int max_depth)
      : lines_(lines), max_depth_(max_depth) {}

  bool empty() const { return empty_; }
  // The innermost collection in brackets that was not closed yet; 0: none.
  int open_bracket_line() const {
    const auto found = std::find_if(open_.rbegin(), open_.rend(),
                                    [](const Collection& open) { return open.bracketed; });
    return found == open_.rend() ? 0 : found->line;
  }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override { Begin(mark, anchor); }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override { RefuseAnchor(mark); }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    // At the top there is nothing but keys.
    const bool is_key = Begin(mark, anchor) || open_.empty();
    CheckTag(mark, tag);
    const absl::string_view text = RestOfLine(mark);
    const bool quoted = !text.empty() && (text[0] == '"' || text[0] == '\'');
    const size_t length = quoted ? QuotedLength(text) : value.size();
    if (length == absl::string_view::npos) Refuse(mark, "a quote is opened here and not closed");
    if (!quoted && !absl::StartsWith(text, value)) RefuseLongText(mark, text);
    const absl::string_view rest = absl::StripAsciiWhitespace(text.substr(length));
    if (is_key) {
      CheckKey(mark, value, rest);
    } else if (quoted && !rest.empty() && !absl::StrContains("#,]}", rest[0])) {
      Refuse(mark, "a quote is closed, but text follows it");
    }
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value style) override {
    Begin(mark, anchor);
    if (open_.empty()) Refuse(mark, "is not a list of 'key: value' lines");
    Open(mark, tag, style, /*is_map=*/false);
  }
  void OnSequenceEnd() override { open_.pop_back(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value style) override {
    Begin(mark, anchor);
    empty_ = false;
    Open(mark, tag, style, /*is_map=*/true);
  }
  void OnMapEnd() override { open_.pop_back(); }

 private:
  struct Collection {
    int line;
    bool bracketed;
    bool is_map;
    bool key_is_next;
  };

  [[noreturn]] static void Refuse(const YAML::Mark& mark, std::string message) {
    throw Fault{LineOf(mark), std::move(message)};
  }
  [[noreturn]] static void RefuseAnchor(const YAML::Mark& mark) {
    Refuse(mark, "anchors and aliases (&name, *name) are not read here: write the value out");
  }

  // Of any node. Whether it is the key of a map.
  bool Begin(const YAML::Mark& mark, YAML::anchor_t anchor) {
    if (anchor != 0) RefuseAnchor(mark);
    if (open_.empty() || !open_.back().is_map) return false;
    return std::exchange(open_.back().key_is_next, !open_.back().key_is_next);
  }
  // `rest`: what follows on its line.
  void CheckKey(const YAML::Mark& mark, const std::string& key, absl::string_view rest) const {
    if (absl::StartsWith(key, "-")) {
      Refuse(mark, absl::StrCat("'", key, "' is no key: a space must follow the '-' of a list"));
    }
    if (absl::StartsWith(rest, ":")) return;
    if (open_bracket_line() > 0 && rest.empty()) RefuseUnclosed(mark);
    Refuse(mark, absl::StrCat("'", key, "' is no key: ':' and a space must follow one"));
  }
  // A plain text or block of more than one line.
  [[noreturn]] void RefuseLongText(const YAML::Mark& mark, absl::string_view text) const {
    if (absl::StartsWith(text, "|") || absl::StartsWith(text, ">")) {
      Refuse(mark, "blocks of text (| and >) are not read here: write a value on one line");
    }
    if (open_bracket_line() > 0) RefuseUnclosed(mark);
    size_t next = static_cast<size_t>(mark.line) + 1;
    while (next < lines_.size() && absl::StripAsciiWhitespace(lines_[next]).empty()) ++next;
    throw Fault{static_cast<int>(next) + 1,
                "is indented deeper than the line above, and so continues the value there"};
  }
  [[noreturn]] static void RefuseUnclosed(const YAML::Mark& mark) {
    Refuse(mark, "a list or map in brackets lacks a ',' or its closing bracket at the line's end");
  }
  void CheckTag(const YAML::Mark& mark, const std::string& tag) const {
    // "?" and "!" stand for plain and for quoted scalars without one.
    if (tag.size() > 1 || absl::StartsWith(RestOfLine(mark), "!")) {
      Refuse(mark, "tags (!name) are not read here: leave it out");
    }
  }
  void Open(const YAML::Mark& mark, const std::string& tag, YAML::EmitterStyle::value style,
            bool is_map) {
    CheckTag(mark, tag);
    open_.push_back({LineOf(mark), style == YAML::EmitterStyle::Flow, is_map, is_map});
    if (open_.size() > static_cast<size_t>(max_depth_)) {
      Refuse(mark, absl::StrCat("nested more than ", max_depth_, " deep"));
    }
  }
  absl::string_view RestOfLine(const YAML::Mark& mark) const {
    const size_t line = static_cast<size_t>(mark.line);
    const size_t column = static_cast<size_t>(mark.column);
    if (line >= lines_.size() || column > lines_[line].size()) return "";
    return lines_[line].substr(column);
  }

  const std::vector<absl::string_view>& lines_;
  const int max_depth_;
  std::vector<Collection> open_;
  bool empty_ = true;
};

// yaml-cpp's words, where they say little to who does not write parsers.
std::string InWords(absl::string_view message) {
  if (message == YAML::ErrorMsg::END_OF_SEQ || message == YAML::ErrorMsg::END_OF_MAP) {
    return "is neither 'key: value' nor an item of a list that is indented like the lines above";
  }
  if (message == YAML::ErrorMsg::MAP_VALUE) {
    return "a ':' stands where none can: compare the indentation with the line above, and put a "
           "value that holds ': ' in quotes";
  }
  return absl::StrCat("not valid YAML: ", message);
}

std::optional<Fault> ControlCharacter(const std::vector<absl::string_view>& lines) {
  for (size_t i = 0; i < lines.size(); ++i) {
    for (const char c : absl::StripSuffix(lines[i], "\r")) {
      if (c == '\t' || !absl::ascii_iscntrl(static_cast<unsigned char>(c))) continue;
      return Fault{static_cast<int>(i) + 1,
                   absl::StrFormat("holds a byte that is no text (0x%02x): is the file damaged?",
                                   static_cast<unsigned char>(c))};
    }
  }
  return std::nullopt;
}

// yaml-cpp would put U+FFFD in its place, and so read another name than was written.
std::optional<Fault> NoUtf8(const std::vector<absl::string_view>& lines) {
  for (size_t i = 0; i < lines.size(); ++i) {
    absl::string_view left = lines[i];
    while (!left.empty()) {
      uint32_t ignored = 0;
      const size_t bytes = DecodeUtf8(left, ignored);
      if (bytes == 0) {
        return Fault{static_cast<int>(i) + 1,
                     absl::StrFormat("holds a byte that is not UTF-8 (0x%02x): save the file as "
                                     "UTF-8",
                                     static_cast<unsigned char>(left[0]))};
      }
      left.remove_prefix(bytes);
    }
  }
  return std::nullopt;
}

bool IsIndentedByTab(absl::string_view line) {
  return line.substr(0, line.find_first_not_of(" \t")).find('\t') != absl::string_view::npos;
}

struct Noticed {
  Fault fault;
  // By yaml-cpp, which may be past the line on which it began.
  bool by_parser = false;
};

// The first fault of the first `count` of `lines`.
std::optional<Noticed> Look(const std::vector<absl::string_view>& lines, size_t count,
                            int max_depth) {
  Inspector inspector(lines, max_depth);
  try {
    std::istringstream stream(
        absl::StrCat(absl::StrJoin(lines.begin(), lines.begin() + count, "\n"), "\n"));
    YAML::Parser parser(stream);
    parser.HandleNextDocument(inspector);
    Inspector second(lines, max_depth);
    if (parser.HandleNextDocument(second)) {
      return Noticed{{0, "holds more than one YAML document (a line '---' between them)"}};
    }
    if (!inspector.empty()) return std::nullopt;
    return Noticed{{1,
                    "no key is set here: restore the file if it was cut short, or write {} for "
                    "the built-in settings"},
                   /*by_parser=*/true};
  } catch (const Fault& fault) {
    return Noticed{fault};
  } catch (const YAML::Exception& e) {
    const int line = LineOf(e.mark);
    const size_t index = static_cast<size_t>(std::max(line - 1, 0));
    if (index < lines.size() && IsIndentedByTab(lines[index])) {
      return Noticed{{line, "is indented by a tab: only spaces may indent"}, /*by_parser=*/true};
    }
    const bool unclosed = e.msg == YAML::ErrorMsg::END_OF_SEQ_FLOW ||
                          e.msg == YAML::ErrorMsg::END_OF_MAP_FLOW ||
                          e.msg == YAML::ErrorMsg::BLOCK_ENTRY;
    if (unclosed && inspector.open_bracket_line() > 0) {
      return Noticed{{inspector.open_bracket_line(), "a bracket is opened here and not closed"}};
    }
    return Noticed{{line, InWords(e.msg)}, /*by_parser=*/true};
  }
}

}  // namespace

std::optional<YamlSyntaxFault> FindYamlSyntaxFault(absl::string_view text, int max_depth) {
  absl::ConsumePrefix(&text, "\xef\xbb\xbf");
  const std::vector<absl::string_view> lines = absl::StrSplit(text, '\n');
  if (std::optional<Fault> fault = ControlCharacter(lines)) return fault;
  if (std::optional<Fault> fault = NoUtf8(lines)) return fault;
  const std::optional<Noticed> noticed = Look(lines, lines.size(), max_depth);
  if (!noticed) return std::nullopt;
  if (noticed->by_parser && noticed->fault.line > 1) {
    // Text without its ':' runs on into the next line, where yaml-cpp stumbles.
    const std::optional<Noticed> above =
        Look(lines, static_cast<size_t>(noticed->fault.line) - 1, max_depth);
    if (above && !above->by_parser) return above->fault;
  }
  return noticed->fault;
}

}  // namespace postern
