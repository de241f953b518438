// SPDX-License-Identifier: Apache-2.0
#include "cli/table.h"

#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace postern::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::vector<Column> Columns() {
  return {{.heading = "NAME", .importance = 3},
          {.heading = "PATH", .importance = 2, .least = 8, .cut = Cut::kMiddle},
          {.heading = "N", .importance = 1, .right = true}};
}

std::string Printed(Table& table) {
  std::ostringstream out;
  table.Print(out);
  return out.str();
}

TEST(TableTest, CellsStandUnderTheirHeadings) {
  Table table(Columns(), std::nullopt);
  table.AddRow({"a", "/usr/bin/perl", "7"});
  table.AddRow({"long", "/x", "123"});
  EXPECT_EQ(Printed(table),
            "NAME  PATH             N\n"
            "a     /usr/bin/perl    7\n"
            "long  /x             123\n");
}

TEST(TableTest, WideAndAccentedCharactersKeepTheAlignment) {
  Table table(Columns(), std::nullopt);
  table.AddRow({"漢字", "/x", "1"});
  table.AddRow({"café", "/x", "1"});
  EXPECT_EQ(Printed(table),
            "NAME  PATH  N\n"
            "漢字  /x    1\n"
            "café  /x    1\n");
}

TEST(TableTest, OnATerminalNoLineIsWiderThanIt) {
  for (size_t width = 1; width < 60; ++width) {
    Table table(Columns(), width);
    table.AddRow({"someone", "/home/someone/some/folder/program", "123456"});
    table.AddRow({"漢字", "/opt/漢字漢字漢字漢字漢字漢字漢字/漢字", "1"});
    for (const absl::string_view line : absl::StrSplit(Printed(table), '\n')) {
      EXPECT_LE(DisplayWidth(line), width);
    }
  }
}

TEST(TableTest, LongCellsAreShortenedBeforeColumnsAreLeftOut) {
  Table table(Columns(), 26);
  table.AddRow({"someone", "/home/someone/some/folder/program", "123456"});
  EXPECT_EQ(Printed(table),
            "NAME     PATH            N\n"
            "someone  /h…rogram  123456\n");
}

TEST(TableTest, TheLeastImportantColumnIsLeftOutFirst) {
  Table table(Columns(), 18);
  table.AddRow({"someone", "/home/someone/some/folder/program", "123456"});
  EXPECT_EQ(Printed(table),
            "NAME     PATH\n"
            "someone  /h…rogram\n");
}

TEST(TableTest, AwayFromATerminalNothingIsShortened) {
  Table table(Columns(), std::nullopt);
  const std::string path(500, 'p');
  table.AddRow({"a", path, "1"});
  EXPECT_THAT(Printed(table), HasSubstr(path));
}

TEST(TableTest, AColumnWithoutValuesTakesNoRoom) {
  Table table(Columns(), std::nullopt);
  table.AddRow({"a", "", "1"});
  EXPECT_THAT(Printed(table), Not(HasSubstr("PATH")));
}

TEST(TableTest, RowsThatComeLaterKeepTheLayoutOnATerminal) {
  Table table(Columns(), 40);
  table.AddRow({"a", "/usr/bin/x", "1"});
  EXPECT_EQ(Printed(table),
            "NAME  PATH        N\n"
            "a     /usr/bin/x  1\n");
  table.AddRow({"much longer", "/usr/bin/much/longer", "123"});
  EXPECT_EQ(Printed(table), "muc…  /us…longer  …\n");
}

TEST(TableTest, LinesBetweenRowsStandAsTheyAreWithoutControlCharacters) {
  Table table(Columns(), 20);
  table.AddRow({"a", "b", "1"});
  table.AddLine("policy: mode is now enforce, as asked\x1b[0m");
  EXPECT_THAT(Printed(table), HasSubstr("\npolicy: mode is now enforce, as asked\\x1b[0m\n"));
}

TEST(TableTest, EscapesInCellsNeverReachTheTerminal) {
  Table table(Columns(), 80);
  table.AddRow({"\x1b]0;x\x07", "a\nb", "1"});
  const std::string text = Printed(table);
  EXPECT_THAT(text, Not(HasSubstr("\x1b")));
  EXPECT_THAT(text, HasSubstr("a\\x0ab"));
}

}  // namespace
}  // namespace postern::cli
