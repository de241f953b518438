// SPDX-License-Identifier: Apache-2.0
#include "cli/table.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace postern::cli {
namespace {

constexpr size_t kGap = 2;
constexpr size_t kIndentBelow = 4;
// One cell may take; a path can have 4,096 bytes.
constexpr size_t kLinesBelow = 4;

}  // namespace

Table::Table(std::vector<Column> columns, std::optional<size_t> terminal_width)
    : columns_(std::move(columns)),
      terminal_width_(terminal_width),
      widths_(columns_.size(), size_t{0}),
      places_(columns_.size(), Place::kNowhere) {}

void Table::AddRow(std::vector<std::string> cells) {
  cells.resize(columns_.size());
  for (std::string& cell : cells) cell = Printable(cell);
  rows_.push_back({std::move(cells), ""});
}

void Table::AddLine(std::string text) { rows_.push_back({{}, Printable(text)}); }

void Table::LayOut() {
  if (!laid_out_ || !terminal_width_) Measure();
  if (!laid_out_ && terminal_width_) Fit(*terminal_width_);
  laid_out_ = true;
}

void Table::Measure() {
  for (size_t i = 0; i < columns_.size(); ++i) {
    size_t widest = columns_[i].typical;
    for (const Row& row : rows_) {
      if (!row.cells.empty()) widest = std::max(widest, DisplayWidth(row.cells[i]));
    }
    // A column without a single value is not worth its room.
    if (widest == 0) continue;
    widths_[i] = std::max({widths_[i], widest, DisplayWidth(columns_[i].heading)});
    places_[i] = Place::kRow;
  }
}

size_t Table::Least(size_t column) const {
  const Column& of = columns_[column];
  return of.least == 0 ? widths_[column]
                       : std::min(widths_[column], std::max(of.least, DisplayWidth(of.heading)));
}

size_t Table::RowWidth(bool narrowed) const {
  size_t total = 0;
  for (size_t i = 0; i < columns_.size(); ++i) {
    if (places_[i] == Place::kRow) total += (narrowed ? Least(i) : widths_[i]) + kGap;
  }
  return total == 0 ? 0 : total - kGap;
}

bool Table::MakeRoom() {
  size_t spare = columns_.size();
  size_t below = columns_.size();
  size_t dispensable = columns_.size();
  int in_row = 0;
  for (size_t i = 0; i < columns_.size(); ++i) {
    if (places_[i] != Place::kRow) continue;
    ++in_row;
    if (columns_[i].spare) spare = i;
    if (columns_[i].below && (below == columns_.size() || Least(i) > Least(below))) below = i;
    if (dispensable == columns_.size() ||
        columns_[i].importance < columns_[dispensable].importance) {
      dispensable = i;
    }
  }
  if (in_row <= 1) return false;
  if (spare < columns_.size()) {
    places_[spare] = Place::kLeftOut;
  } else if (below < columns_.size()) {
    places_[below] = Place::kBelow;
  } else {
    places_[dispensable] = Place::kLeftOut;
  }
  return true;
}

void Table::Fit(size_t terminal_width) {
  const bool has_spare = std::any_of(columns_.begin(), columns_.end(),
                                     [](const Column& column) { return column.spare; });
  if (has_spare && RowWidth(/*narrowed=*/false) > terminal_width) MakeRoom();
  while (RowWidth(/*narrowed=*/true) > terminal_width && MakeRoom()) {
  }
  while (RowWidth(/*narrowed=*/false) > terminal_width) {
    size_t widest = columns_.size();
    for (size_t i = 0; i < columns_.size(); ++i) {
      if (places_[i] != Place::kRow || widths_[i] <= Least(i)) continue;
      if (widest == columns_.size() || widths_[i] > widths_[widest]) widest = i;
    }
    if (widest < columns_.size()) {
      --widths_[widest];
      continue;
    }
    // One column is left, and it may not be narrowed: the terminal decides.
    for (size_t& width : widths_) width = std::min(width, terminal_width);
    break;
  }
}

void Table::PrintRow(std::ostream& out, const std::vector<std::string>& cells) const {
  std::string line;
  std::string padding;
  for (size_t i = 0; i < columns_.size(); ++i) {
    if (places_[i] != Place::kRow) continue;
    std::string cell = cells[i];
    if (terminal_width_) {
      const bool goes_below = columns_[i].below && DisplayWidth(cell) > widths_[i];
      cell = goes_below ? "…" : Shorten(cell, widths_[i], columns_[i].cut);
    }
    const size_t width = std::min(DisplayWidth(cell), widths_[i]);
    const std::string fill(widths_[i] - width, ' ');
    line += padding;
    line += columns_[i].right ? fill + cell : cell;
    padding = (columns_[i].right ? "" : fill) + std::string(kGap, ' ');
  }
  while (!line.empty() && line.back() == ' ') line.pop_back();
  out << line << '\n';
  if (terminal_width_) PrintBelow(out, cells);
}

void Table::PrintBelow(std::ostream& out, const std::vector<std::string>& cells) const {
  const size_t indent = std::min(kIndentBelow, *terminal_width_ / 2);
  const size_t room = *terminal_width_ - indent;
  std::string line;
  const auto flush = [&] {
    if (!line.empty()) out << std::string(indent, ' ') << line << '\n';
    line.clear();
  };
  for (size_t i = 0; i < columns_.size(); ++i) {
    const bool overflows =
        places_[i] == Place::kRow && columns_[i].below && DisplayWidth(cells[i]) > widths_[i];
    if ((places_[i] != Place::kBelow && !overflows) || cells[i].empty()) continue;
    const std::string cell = Shorten(cells[i], room * kLinesBelow, columns_[i].cut);
    if (!line.empty() && DisplayWidth(line) + kGap + DisplayWidth(cell) > room) flush();
    if (!line.empty()) line.append(kGap, ' ');
    for (const std::string& piece : Break(cell, room)) {
      if (DisplayWidth(line) + DisplayWidth(piece) > room) flush();
      line += piece;
    }
  }
  flush();
}

void Table::Print(std::ostream& out) {
  LayOut();
  for (const Row& row : rows_) {
    if (row.cells.empty()) {
      out << (terminal_width_ ? Wrap(row.line, *terminal_width_, kIndentBelow) : row.line) << '\n';
      continue;
    }
    if (!headed_) {
      std::vector<std::string> headings;
      for (const Column& column : columns_) headings.push_back(column.heading);
      PrintRow(out, headings);
      headed_ = true;
    }
    PrintRow(out, row.cells);
  }
  rows_.clear();
}

void Table::PrintLeftOut(std::ostream& out) {
  LayOut();
  std::vector<std::string> headings;
  for (size_t i = 0; i < columns_.size(); ++i) {
    if (places_[i] == Place::kLeftOut) headings.push_back(columns_[i].heading);
  }
  if (headings.empty()) return;
  out << Wrap(absl::StrCat("Not shown for width: ", absl::StrJoin(headings, ", "),
                           " (a wider terminal or --json has all)."),
              *terminal_width_, 2)
      << '\n';
}

}  // namespace postern::cli
