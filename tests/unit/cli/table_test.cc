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
using ::testing::StartsWith;

std::vector<Column> Columns() {
  return {{.heading = "NAME", .importance = 3},
          {.heading = "PATH", .importance = 2, .least = 8, .cut = Cut::kMiddle},
          {.heading = "N", .importance = 1, .right = true}};
}

std::vector<Column> ColumnsWithBelow() {
  std::vector<Column> columns = Columns();
  columns[1].below = true;
  columns.push_back({.heading = "MORE", .importance = 4, .least = 6, .below = true});
  return columns;
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
    Table table(ColumnsWithBelow(), width);
    table.AddRow({"someone", "/home/someone/some/folder/program", "123456", "漢字漢字漢字漢字"});
    table.AddRow({"漢字", "/opt/漢字漢字漢字漢字漢字漢字漢字/漢字", "1", ""});
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

TEST(TableTest, WhatIsLeftOutIsNamed) {
  Table table(Columns(), 18);
  table.AddRow({"someone", "/home/someone/some/folder/program", "123456"});
  Printed(table);
  std::ostringstream said;
  table.PrintLeftOut(said);
  EXPECT_THAT(said.str(), StartsWith("Not shown for\n  width: N (a"));
  Table whole(Columns(), 80);
  whole.AddRow({"someone", "", "1"});
  std::ostringstream nothing;
  whole.PrintLeftOut(nothing);
  EXPECT_EQ(nothing.str(), "");
}

TEST(TableTest, CellsTooWideForTheirColumnStandWholeBelowTheRow) {
  Table table(ColumnsWithBelow(), 40);
  table.AddRow({"a", "/usr/bin/x", "1", "short"});
  table.AddRow({"b", "/home/someone/some/folder/program", "2", "twelve chars"});
  EXPECT_EQ(Printed(table),
            "NAME  PATH               N  MORE\n"
            "a     /usr/bin/x         1  short\n"
            "b     …                  2  twelve chars\n"
            "    /home/someone/some/folder/program\n");
}

TEST(TableTest, ColumnsWithoutRoomStandBelowBeforeAnyIsLeftOut) {
  Table table(ColumnsWithBelow(), 24);
  table.AddRow({"someone", "/a/b", "123456", "six"});
  table.AddRow({"someone", "/home/someone/some/folder/program", "1", "twelve chars"});
  EXPECT_EQ(Printed(table),
            "NAME          N  MORE\n"
            "    PATH\n"
            "someone  123456  six\n"
            "    /a/b\n"
            "someone       1  …\n"
            "    /home/someone/some/f\n"
            "    older/program\n"
            "    twelve chars\n");
}

TEST(TableTest, ACellThatManyLinesWouldNotHoldIsShortened) {
  Table table(ColumnsWithBelow(), 24);
  table.AddRow({"someone", "/" + std::string(500, 'p') + "/x", "123456", ""});
  EXPECT_EQ(Printed(table),
            "NAME          N\n"
            "    PATH\n"
            "someone  123456\n"
            "    /ppppppppppppppppppp\n"
            "    pppppp…ppppppppppppp\n"
            "    pppppppppppppppppppp\n"
            "    pppppppppppppppppp/x\n");
}

TEST(TableTest, ASpareColumnGoesBeforeAnyIsNarrowed) {
  std::vector<Column> columns = Columns();
  columns[0].spare = true;
  Table table(columns, 20);
  table.AddRow({"someone", "/usr/bin/x", "123456"});
  EXPECT_EQ(Printed(table),
            "PATH             N\n"
            "/usr/bin/x  123456\n");
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
  Table table(Columns(), std::nullopt);
  table.AddRow({"a", "b", "1"});
  table.AddLine("policy: mode is now enforce, as asked\x1b[0m");
  EXPECT_THAT(Printed(table), HasSubstr("\npolicy: mode is now enforce, as asked\\x1b[0m\n"));
}

TEST(TableTest, LinesBetweenRowsKeepToTheTerminal) {
  Table table(Columns(), 20);
  table.AddRow({"a", "b", "1"});
  table.AddLine("policy: mode is now enforce, as asked");
  const std::vector<std::string> lines = absl::StrSplit(Printed(table), '\n');
  ASSERT_EQ(lines.size(), 6u);
  EXPECT_EQ(lines[2], "policy: mode is now");
  for (const std::string& line : lines) EXPECT_LE(DisplayWidth(line), 20u) << line;
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
