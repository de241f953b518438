// SPDX-License-Identifier: Apache-2.0
// Rows under headings, aligned, and on a terminal never wider than it is:
// columns that matter least are left out, long cells shortened. Elsewhere
// nothing is left out or shortened.
#ifndef POSTERN_CLI_TABLE_H_
#define POSTERN_CLI_TABLE_H_

#include <cstddef>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "cli/text.h"

namespace postern::cli {

struct Column {
  std::string heading;
  // The lowest goes first when the terminal is too narrow.
  int importance = 0;
  // Cells may be shortened to this many columns; 0: they may not.
  size_t least = 0;
  Cut cut = Cut::kEnd;
  bool right = false;
  // Room kept from the start, for rows that come later.
  size_t typical = 0;
};

// Not thread-safe.
class Table {
 public:
  // `terminal_width`: in columns; nullopt where the output is no terminal.
  Table(std::vector<Column> columns, std::optional<size_t> terminal_width);

  // One cell a column. Control characters in it are made visible.
  void AddRow(std::vector<std::string> cells);
  // A line of its own between rows, as it is.
  void AddLine(std::string text);

  // Writes what was added since the last call; the headings before the first
  // row. The layout is made at the first call. After it, cells that are too wide
  // are shortened on a terminal; elsewhere they widen their column.
  void Print(std::ostream& out);

  size_t pending() const { return rows_.size(); }

 private:
  struct Row {
    std::vector<std::string> cells;
    std::string line;  // instead of cells, when those are empty
  };

  void Measure();
  void Fit(size_t terminal_width);
  size_t Width() const;
  void PrintRow(std::ostream& out, const std::vector<std::string>& cells) const;

  const std::vector<Column> columns_;
  const std::optional<size_t> terminal_width_;
  std::vector<Row> rows_;
  std::vector<size_t> widths_;  // 0: the column is left out
  bool laid_out_ = false;
  bool headed_ = false;
};

}  // namespace postern::cli

#endif  // POSTERN_CLI_TABLE_H_
