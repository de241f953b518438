// SPDX-License-Identifier: Apache-2.0
#include "cli/text.h"

#include <string>

#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace postern::cli {
namespace {

using ::testing::ElementsAre;

TEST(TextTest, ControlCharactersBecomeVisible) {
  EXPECT_EQ(Printable("a\x1b[31mb\n\t\x7f"), "a\\x1b[31mb\\x0a\\x09\\x7f");
  // CSI as one character, U+009B.
  EXPECT_EQ(Printable("\xc2\x9b"), "\\xc2\\x9b");
  EXPECT_EQ(Printable(std::string("a\0b", 3)), "a\\x00b");
}

TEST(TextTest, CharactersThatReorderOrHideOthersBecomeVisible) {
  EXPECT_EQ(Printable("\u202egpj.exe"), "\\xe2\\x80\\xaegpj.exe");
  EXPECT_EQ(Printable("a\u200bb\ufeff"), "a\\xe2\\x80\\x8bb\\xef\\xbb\\xbf");
}

TEST(TextTest, BytesThatAreNotUtf8BecomeVisible) {
  EXPECT_EQ(Printable("\xff"), "\\xff");
  EXPECT_EQ(Printable("\xe2\x82"), "\\xe2\\x82");                    // cut
  EXPECT_EQ(Printable("\xc0\xaf"), "\\xc0\\xaf");                    // overlong
  EXPECT_EQ(Printable("\xed\xa0\x80"), "\\xed\\xa0\\x80");           // surrogate
  EXPECT_EQ(Printable("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");  // past U+10FFFF
}

TEST(TextTest, PrintableTextStaysWhateverItsLanguage) {
  for (const char* text : {"", "/usr/sbin/php-fpm8.2", "café", "ответ", "漢字", "\\x1b", "😀"}) {
    EXPECT_EQ(Printable(text), text);
  }
}

TEST(TextTest, WidthCountsColumnsNotBytes) {
  EXPECT_EQ(DisplayWidth("abc"), 3u);
  EXPECT_EQ(DisplayWidth("café"), 4u);
  EXPECT_EQ(DisplayWidth("漢字"), 4u);
  EXPECT_EQ(DisplayWidth("e\u0301"), 1u);  // combining accent
}

TEST(TextTest, ShorteningKeepsWhatItsKindSays) {
  EXPECT_EQ(Shorten("/usr/sbin/php", 13, Cut::kEnd), "/usr/sbin/php");
  EXPECT_EQ(Shorten("abcdefghij", 5, Cut::kEnd), "abcd…");
  EXPECT_EQ(Shorten("abcdefghij", 5, Cut::kFront), "…ghij");
  EXPECT_EQ(Shorten("abcdefghij", 7, Cut::kMiddle), "ab…ghij");
}

TEST(TextTest, ShortenedTextIsNeverWiderThanAsked) {
  for (const char* text : {"abcdefghijklmnop", "漢字漢字漢字漢字", "aé漢e\u0301bcdéfgh"}) {
    for (const Cut cut : {Cut::kEnd, Cut::kMiddle, Cut::kFront}) {
      for (size_t width = 0; width < 12; ++width) {
        EXPECT_LE(DisplayWidth(Shorten(text, width, cut)), width) << text;
      }
    }
  }
}

TEST(TextTest, WrappedLinesKeepToTheWidthAndLoseNoWord) {
  const std::string text = "one two three four five six seven";
  for (size_t width = 7; width < 40; ++width) {
    std::string joined;
    for (const absl::string_view line : absl::StrSplit(Wrap(text, width, 2), '\n')) {
      EXPECT_LE(line.size(), width);
      joined += (joined.empty() ? "" : " ") + std::string(line.substr(line.find_first_not_of(' ')));
    }
    EXPECT_EQ(joined, text);
  }
}

TEST(TextTest, BrokenTextLosesNothingAndKeepsToTheWidth) {
  EXPECT_THAT(Break("abcdefg", 3), ElementsAre("abc", "def", "g"));
  EXPECT_THAT(Break("a漢字b", 3), ElementsAre("a漢", "字b"));
  EXPECT_THAT(Break("", 3), ElementsAre(""));
}

TEST(TextTest, CountsAndBytesReadAsPeopleWriteThem) {
  EXPECT_EQ(Count(1, "event"), "1 event");
  EXPECT_EQ(Count(0, "event"), "0 events");
  EXPECT_EQ(Bytes(0), "0 B");
  EXPECT_EQ(Bytes(256u << 20), "256 MiB");
  EXPECT_EQ(Bytes(1536), "1.5 KiB");
}

}  // namespace
}  // namespace postern::cli
