// SPDX-License-Identifier: Apache-2.0
// Text for a terminal: what may be written to it, how wide it is, how to make
// it fit. Widths are in columns, as wcwidth(3) counts them. Pure functions.
#ifndef POSTERN_CLI_TEXT_H_
#define POSTERN_CLI_TEXT_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace postern::cli {

// Control characters, bytes that are not UTF-8 and characters that reorder or
// hide others become \xNN; all else stays. Servers send printable text already:
// this is for those that lie.
std::string Printable(absl::string_view text);

// Of a text that went through Printable().
size_t DisplayWidth(absl::string_view text);

// Where a text that is too long loses characters; "…" stands for them.
enum class Cut { kEnd, kMiddle, kFront };

// `text`, or a form of it at most `width` columns wide.
std::string Shorten(absl::string_view text, size_t width, Cut cut);

// Breaks at spaces where a line would pass `width`; lines after the first are
// indented by `indent`. A word that is too long by itself is not broken.
std::string Wrap(absl::string_view text, size_t width, size_t indent);

// The text in pieces of at most `width` columns, broken where each is full; "…"
// for a character that is wider.
std::vector<std::string> Break(absl::string_view text, size_t width);

// "1 event", "2 events".
std::string Count(uint64_t count, absl::string_view singular);

// "1.5 MiB".
std::string Bytes(uint64_t bytes);

}  // namespace postern::cli

#endif  // POSTERN_CLI_TEXT_H_
