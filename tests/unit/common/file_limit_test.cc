// SPDX-License-Identifier: Apache-2.0
#include "common/file_limit.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include "tests/support/idle_connections.h"

namespace postern {
namespace {

TEST(FileLimitTest, TheSoftLimitIsRaisedToTheHardOne) {
  const support::FileLimit low(64);
  ASSERT_TRUE(RaiseFileLimit().ok());
  rlimit files = {};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &files), 0);
  EXPECT_EQ(files.rlim_cur, files.rlim_max);
  EXPECT_GT(files.rlim_cur, 64u);
}

}  // namespace
}  // namespace postern
