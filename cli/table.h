// SPDX-License-Identifier: Apache-2.0
// Rows under headings, aligned, and on a terminal never wider than it is: cells
// are shortened or stand on a line of their own below the row, and where even
// that is not enough the columns that matter least are left out, which the table
// can say. Elsewhere nothing of this is done.
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
  // The column may be as narrow as this; 0: as wide as its cells.
  size_t least = 0;
  // Of cells that are wider than their column, unless they go below.
  Cut cut = Cut::kEnd;
  // Cells that are wider than their column stand below the row, whole as far as
  // some lines hold them; all of them do where the row has no room for the column.
  bool below = false;
  // Goes before any other would have to be narrowed.
  bool spare = false;
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
  // A line of its own between rows, in as many lines as a terminal needs.
  void AddLine(std::string text);

  // Writes what was added since the last call; the headings before the first
  // row. The layout is made at the first call. After it, cells that are too wide
  // are shortened or put below on a terminal; elsewhere they widen their column.
  void Print(std::ostream& out);

  // A line that names the columns that the terminal has no room for; nothing
  // where it has. Makes the layout, of the rows added so far.
  void PrintLeftOut(std::ostream& out);

  size_t pending() const { return rows_.size(); }

 private:
  struct Row {
    std::vector<std::string> cells;
    std::string line;  // instead of cells, when those are empty
  };

  enum class Place {
    kNowhere,  // no cell of it says anything
    kRow,
    kBelow,
    kLeftOut,
  };

  void LayOut();
  void Measure();
  void Fit(size_t terminal_width);
  size_t Least(size_t column) const;
  // Of all columns in the row, with the gaps between them.
  size_t RowWidth(bool narrowed) const;
  // Takes the first of these from the row: a spare column, one that can stand
  // below, the one that matters least. False where only one is left.
  bool MakeRoom();
  void PrintRow(std::ostream& out, const std::vector<std::string>& cells) const;
  void PrintBelow(std::ostream& out, const std::vector<std::string>& cells) const;

  const std::vector<Column> columns_;
  const std::optional<size_t> terminal_width_;
  std::vector<Row> rows_;
  std::vector<size_t> widths_;
  std::vector<Place> places_;
  bool laid_out_ = false;
  bool headed_ = false;
};

}  // namespace postern::cli

#endif  // POSTERN_CLI_TABLE_H_
