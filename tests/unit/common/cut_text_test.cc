// SPDX-License-Identifier: Apache-2.0
#include "common/cut_text.h"

#include <gtest/gtest.h>

#include <string>

namespace postern {
namespace {

std::string Repeated(const std::string& text, size_t times) {
  std::string repeated;
  for (; times > 0; --times) repeated += text;
  return repeated;
}

TEST(CutTextTest, ShortTextStays) {
  EXPECT_EQ(CutMiddle("", 10), "");
  EXPECT_EQ(CutMiddle("0123456789", 10), "0123456789");
}

TEST(CutTextTest, BeginningAndEndOfALongOneStay) {
  EXPECT_EQ(CutMiddle("is '" + std::string(100'000, 'x') + "', not", 52),
            "is 'xxxx[… 99994 bytes …]xx', not");
  // What was cut is not cut again.
  const std::string cut = CutMiddle(std::string(1000, 'x'), 100);
  EXPECT_EQ(CutMiddle(cut, 100), cut);
}

TEST(CutTextTest, NoCharacterIsCutApart) {
  EXPECT_EQ(CutMiddle("a" + Repeated("é", 40) + "b", 44), "aé[… 76 bytes …]éb");
  // No UTF-8 at all is cut somewhere.
  EXPECT_LE(CutMiddle(std::string(1000, '\x80'), 100).size(), 103u);
}

}  // namespace
}  // namespace postern
