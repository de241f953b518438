// SPDX-License-Identifier: Apache-2.0
#include "cli/text.h"

#include <locale.h>
#include <wchar.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"

namespace postern::cli {
namespace {

constexpr absl::string_view kEllipsis = "…";

// wcwidth() knows no characters beyond ASCII in the C locale, which is what a
// session without LANG has; so this thread asks it in a UTF-8 one.
class Utf8Locale {
 public:
  Utf8Locale() {
    // Made once: it reads files. Lives as long as the process.
    static const locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
    if (utf8 != nullptr) previous_ = uselocale(utf8);
  }
  ~Utf8Locale() {
    if (previous_ != nullptr) uselocale(previous_);
  }
  Utf8Locale(const Utf8Locale&) = delete;
  Utf8Locale& operator=(const Utf8Locale&) = delete;

 private:
  locale_t previous_ = nullptr;
};

// Most of what is shown; each character is one column wide.
bool IsPlain(absl::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
}

struct Character {
  absl::string_view bytes;
  char32_t code = 0;
  bool valid = false;
};

// The first character of a text that is not empty (RFC 3629: no overlong
// forms, no surrogates, nothing past U+10FFFF). One byte where it is not valid.
Character First(absl::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  Character character{text.substr(0, 1), byte(0), byte(0) < 0x80};
  size_t length = 0;
  char32_t least = 0;
  if (byte(0) >= 0xc2 && byte(0) <= 0xdf) {
    length = 2, least = 0x80;
    character.code = byte(0) & 0x1fu;
  } else if ((byte(0) & 0xf0) == 0xe0) {
    length = 3, least = 0x800;
    character.code = byte(0) & 0x0fu;
  } else if (byte(0) >= 0xf0 && byte(0) <= 0xf4) {
    length = 4, least = 0x10000;
    character.code = byte(0) & 0x07u;
  }
  if (length == 0 || text.size() < length) return character;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return character;
    character.code = character.code << 6 | (byte(i) & 0x3fu);
  }
  const char32_t code = character.code;
  if (code < least || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return character;
  character.bytes = text.substr(0, length);
  character.valid = true;
  return character;
}

// Direction marks and overrides, line separators, joiners: none of them seen,
// each able to make one text look like another.
bool Deceives(char32_t code) {
  return (code >= 0x200b && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e) ||
         (code >= 0x2060 && code <= 0x206f) || code == 0x061c || code == 0xfeff;
}

int Columns(const Character& character) {
  return character.code < 0x80 ? 1 : wcwidth(static_cast<wchar_t>(character.code));
}

struct Piece {
  absl::string_view bytes;
  size_t columns;
};

std::vector<Piece> Pieces(absl::string_view text) {
  const Utf8Locale locale;
  std::vector<Piece> pieces;
  while (!text.empty()) {
    const Character character = First(text);
    const int columns = character.valid ? Columns(character) : 1;
    pieces.push_back({character.bytes, columns < 0 ? size_t{1} : static_cast<size_t>(columns)});
    text.remove_prefix(character.bytes.size());
  }
  return pieces;
}

}  // namespace

std::string Printable(absl::string_view text) {
  if (IsPlain(text)) return std::string(text);
  const Utf8Locale locale;
  std::string printable;
  while (!text.empty()) {
    const Character character = First(text);
    const bool control = character.code < 0x20 || (character.code >= 0x7f && character.code < 0xa0);
    if (character.valid && !control && !Deceives(character.code) && Columns(character) >= 0) {
      absl::StrAppend(&printable, character.bytes);
    } else {
      for (const char c : character.bytes) {
        absl::StrAppendFormat(&printable, "\\x%02x", static_cast<unsigned char>(c));
      }
    }
    text.remove_prefix(character.bytes.size());
  }
  return printable;
}

size_t DisplayWidth(absl::string_view text) {
  if (IsPlain(text)) return text.size();
  size_t width = 0;
  for (const Piece& piece : Pieces(text)) width += piece.columns;
  return width;
}

std::string Shorten(absl::string_view text, size_t width, Cut cut) {
  if (text.size() <= width && IsPlain(text)) return std::string(text);
  const std::vector<Piece> pieces = Pieces(text);
  size_t total = 0;
  for (const Piece& piece : pieces) total += piece.columns;
  if (total <= width) return std::string(text);
  if (width == 0) return "";

  const size_t room = width - 1;  // beside the ellipsis
  // The end of a path says more than its beginning.
  const size_t front = cut == Cut::kEnd ? room : cut == Cut::kFront ? 0 : room / 3;
  size_t used = 0;
  std::string head;
  size_t next = 0;
  while (next < pieces.size() && used + pieces[next].columns <= front) {
    used += pieces[next].columns;
    absl::StrAppend(&head, pieces[next++].bytes);
  }
  size_t tail = pieces.size();
  if (cut != Cut::kEnd) {
    while (tail > next && used + pieces[tail - 1].columns <= room) {
      used += pieces[--tail].columns;
    }
  }
  std::string shortened = absl::StrCat(head, kEllipsis);
  for (; tail < pieces.size(); ++tail) absl::StrAppend(&shortened, pieces[tail].bytes);
  return shortened;
}

std::string Wrap(absl::string_view text, size_t width, size_t indent) {
  std::string wrapped;
  size_t column = 0;
  for (const absl::string_view word : absl::StrSplit(text, ' ')) {
    const size_t columns = DisplayWidth(word);
    if (column > indent && column + 1 + columns > width) {
      absl::StrAppend(&wrapped, "\n", std::string(indent, ' '), word);
      column = indent + columns;
    } else {
      absl::StrAppend(&wrapped, wrapped.empty() ? "" : " ", word);
      column += columns + (column == 0 ? 0 : 1);
    }
  }
  return wrapped;
}

std::vector<std::string> Break(absl::string_view text, size_t width) {
  std::vector<std::string> lines = {""};
  size_t used = 0;
  for (const Piece& piece : Pieces(text)) {
    if (used > 0 && used + piece.columns > width) {
      lines.emplace_back();
      used = 0;
    }
    used += piece.columns;
    absl::StrAppend(&lines.back(), piece.columns > width ? kEllipsis : piece.bytes);
  }
  return lines;
}

std::string Count(uint64_t count, absl::string_view singular) {
  return absl::StrCat(count, " ", singular, count == 1 ? "" : "s");
}

std::string Bytes(uint64_t bytes) {
  constexpr std::array<absl::string_view, 5> kUnits = {"B", "KiB", "MiB", "GiB", "TiB"};
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 1024 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  const bool whole = value == static_cast<double>(static_cast<uint64_t>(value));
  return absl::StrFormat("%.*f %s", whole ? 0 : 1, value, kUnits[unit]);
}

}  // namespace postern::cli
