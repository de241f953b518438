// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <random>

#include "agent/sensor/decoder.h"

namespace postern::sensor {
namespace {

TEST(PrintableTextTest, PlainTextStaysAsItIs) {
  EXPECT_EQ(PrintableText("/usr/sbin/exim4 -q"), "/usr/sbin/exim4 -q");
  EXPECT_EQ(PrintableText("Überweisung — 転送"), "Überweisung — 転送");
  EXPECT_EQ(PrintableText(""), "");
}

TEST(PrintableTextTest, BackslashIsDoubledSoThatEscapesCannotBeForged) {
  EXPECT_EQ(PrintableText("\\x41"), "\\\\x41");
}

TEST(PrintableTextTest, ControlCharactersAreEscaped) {
  EXPECT_EQ(PrintableText("a\nb\tc\x7f"), "a\\x0ab\\x09c\\x7f");
  EXPECT_EQ(PrintableText("\x1b[31mred"), "\\x1b[31mred");
  EXPECT_EQ(PrintableText("\xc2\x9b"), "\\xc2\\x9b");  // CSI in one character (C1)
}

TEST(PrintableTextTest, InvalidUtf8IsEscapedByteByByte) {
  EXPECT_EQ(PrintableText("\xff"), "\\xff");
  EXPECT_EQ(PrintableText("\xc3("), "\\xc3(");
  EXPECT_EQ(PrintableText("\xc0\xaf"), "\\xc0\\xaf");                    // overlong
  EXPECT_EQ(PrintableText("\xed\xa0\x80"), "\\xed\\xa0\\x80");           // surrogate
  EXPECT_EQ(PrintableText("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");  // past U+10FFFF
  EXPECT_EQ(PrintableText("\xe2\x82"), "\\xe2\\x82");                    // cut off
}

TEST(PrintableTextTest, CharactersThatReorderOrHideTextAreEscaped) {
  EXPECT_EQ(PrintableText("a\u202eb"), "a\\xe2\\x80\\xaeb");  // right-to-left override
  EXPECT_EQ(PrintableText("\u200b"), "\\xe2\\x80\\x8b");      // zero width space
  EXPECT_EQ(PrintableText("\u2028"), "\\xe2\\x80\\xa8");      // line separator
  EXPECT_EQ(PrintableText("\ufeff"), "\\xef\\xbb\\xbf");
}

TEST(PrintableTextTest, AnyBytesBecomeTextThatStaysItself) {
  std::mt19937 random(1);
  for (int round = 0; round < 2000; ++round) {
    std::string bytes;
    for (size_t i = random() % 40; i > 0; --i) bytes.push_back(static_cast<char>(random()));
    const std::string text = PrintableText(bytes);
    for (char c : text) EXPECT_GE(static_cast<unsigned char>(c), 0x20);
    // Without backslashes of its own, printable text is a fixed point.
    std::string plain;
    for (char c : text) plain += c == '\\' ? '/' : c;
    EXPECT_EQ(PrintableText(plain), plain);
  }
}

}  // namespace
}  // namespace postern::sensor
