// SPDX-License-Identifier: Apache-2.0
// Events as rows of a table, for `query` and `tail`.
#ifndef POSTERN_CLI_EVENT_TABLE_H_
#define POSTERN_CLI_EVENT_TABLE_H_

#include <cstddef>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "cli/table.h"
#include "common/time_text.h"
#include "postern/v1/event.pb.h"

namespace postern::cli {

// As tables show an event: "www-data" or "33"; the binary with its script; where to.
std::string UserText(const v1::Event& event);
std::string BinaryText(const v1::Event& event);
std::string DestinationText(const v1::Event& event);

// Not thread-safe.
class EventTable {
 public:
  struct Options {
    Zone zone = Zone::kUtc;
    // Columns of the terminal; nullopt where the output is none.
    std::optional<size_t> width;
    // All times lie in this year: the heading says it, the rows need not.
    std::optional<int> year;
    // One host's events, as they happen: no host column, and room is kept for
    // rows that are yet to come.
    bool live = false;
  };

  explicit EventTable(const Options& options) : options_(options) {}

  void Add(const v1::Event& event) { pending_.push_back(event); }
  size_t pending() const { return pending_.size(); }

  // Writes what was added since the last call; headings before the first row,
  // and, of live events, which know no end, what of them is left out.
  void Print(std::ostream& out);
  // After the last: Table::PrintLeftOut().
  void PrintLeftOut(std::ostream& out);

 private:
  Table MakeTable() const;
  std::string TimeCell(uint64_t time_ns) const;
  void AddTo(Table& table, const v1::Event& event) const;

  const Options options_;
  std::vector<v1::Event> pending_;
  std::optional<Table> table_;
};

}  // namespace postern::cli

#endif  // POSTERN_CLI_EVENT_TABLE_H_
