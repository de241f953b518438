// SPDX-License-Identifier: Apache-2.0
#include "cli/table.h"

#include <algorithm>
#include <utility>

namespace postern::cli {
namespace {

constexpr size_t kGap = 2;

}  // namespace

Table::Table(std::vector<Column> columns, std::optional<size_t> terminal_width)
    : columns_(std::move(columns)),
      terminal_width_(terminal_width),
      widths_(columns_.size(), size_t{0}) {}

void Table::AddRow(std::vector<std::string> cells) {
  cells.resize(columns_.size());
  for (std::string& cell : cells) cell = Printable(cell);
  rows_.push_back({std::move(cells), ""});
}

void Table::AddLine(std::string text) { rows_.push_back({{}, Printable(text)}); }

void Table::Measure() {
  for (size_t i = 0; i < columns_.size(); ++i) {
    size_t widest = columns_[i].typical;
    for (const Row& row : rows_) {
      if (!row.cells.empty()) widest = std::max(widest, DisplayWidth(row.cells[i]));
    }
    // A column without a single value is not worth its room.
    if (widest > 0) {
      widths_[i] = std::max({widths_[i], widest, DisplayWidth(columns_[i].heading)});
    }
  }
}

size_t Table::Width() const {
  size_t total = 0;
  for (const size_t width : widths_) {
    if (width > 0) total += width + kGap;
  }
  return total == 0 ? 0 : total - kGap;
}

void Table::Fit(size_t terminal_width) {
  const auto least = [&](size_t i) {
    const size_t allowed = std::max(columns_[i].least, DisplayWidth(columns_[i].heading));
    return columns_[i].least == 0 ? widths_[i] : std::min(widths_[i], allowed);
  };
  for (;;) {
    size_t total = 0;
    size_t kept = 0;
    size_t dispensable = columns_.size();
    for (size_t i = 0; i < columns_.size(); ++i) {
      if (widths_[i] == 0) continue;
      ++kept;
      total += least(i) + kGap;
      if (dispensable == columns_.size() ||
          columns_[i].importance < columns_[dispensable].importance) {
        dispensable = i;
      }
    }
    if (kept <= 1 || total - kGap <= terminal_width) break;
    widths_[dispensable] = 0;
  }
  while (Width() > terminal_width) {
    size_t widest = columns_.size();
    for (size_t i = 0; i < columns_.size(); ++i) {
      if (widths_[i] <= least(i)) continue;
      if (widest == columns_.size() || widths_[i] > widths_[widest]) widest = i;
    }
    if (widest < columns_.size()) {
      --widths_[widest];
      continue;
    }
    // One column is left, and it may not be shortened: the terminal decides.
    for (size_t& width : widths_) width = std::min(width, terminal_width);
    break;
  }
}

void Table::PrintRow(std::ostream& out, const std::vector<std::string>& cells) const {
  std::string line;
  std::string padding;
  for (size_t i = 0; i < columns_.size(); ++i) {
    if (widths_[i] == 0) continue;
    const std::string cell =
        terminal_width_ ? Shorten(cells[i], widths_[i], columns_[i].cut) : cells[i];
    const size_t width = std::min(DisplayWidth(cell), widths_[i]);
    const std::string fill(widths_[i] - width, ' ');
    line += padding;
    line += columns_[i].right ? fill + cell : cell;
    padding = (columns_[i].right ? "" : fill) + std::string(kGap, ' ');
  }
  while (!line.empty() && line.back() == ' ') line.pop_back();
  out << line << '\n';
}

void Table::Print(std::ostream& out) {
  if (!laid_out_ || !terminal_width_) Measure();
  if (!laid_out_ && terminal_width_) Fit(*terminal_width_);
  laid_out_ = true;
  for (const Row& row : rows_) {
    if (row.cells.empty()) {
      out << row.line << '\n';
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

}  // namespace postern::cli
