// SPDX-License-Identifier: Apache-2.0
#include "common/tls/context.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "tests/support/certificates.h"
#include "tests/support/temporary_folder.h"

namespace postern::tls {
namespace {

using ::testing::HasSubstr;

class Context : public testing::Test {
 protected:
  std::string Refusal(const Files& files) const {
    return std::string(LoadCredentials(files).status().message());
  }

  TemporaryFolder folder_;
  support::TestAuthority authority_{folder_.path(), "ca"};
  const Files files_ = authority_.Agent("web1");
};

TEST_F(Context, GoodFilesAreLoaded) { EXPECT_TRUE(LoadCredentials(files_).ok()); }

TEST_F(Context, KeyOfAnotherCertificateIsRefused) {
  Files files = files_;
  files.key = authority_.Agent("web2").key;
  EXPECT_THAT(Refusal(files), HasSubstr("is not the key of the certificate in " + files.cert));
}

TEST_F(Context, KeyThatEverybodyMayReadIsRefused) {
  ASSERT_EQ(chmod(files_.key.c_str(), 0644), 0);
  EXPECT_THAT(Refusal(files_), HasSubstr("everybody may read; chmod 0600"));
}

TEST_F(Context, MissingAndGarbledFilesAreNamed) {
  Files files = files_;
  files.ca = folder_ / "none.pem";
  EXPECT_THAT(Refusal(files), HasSubstr(files.ca));
  files.ca = folder_ / "garbage.pem";
  std::ofstream(files.ca) << "garbage";
  EXPECT_THAT(Refusal(files), HasSubstr(files.ca + ": no certificates in PEM"));
}

TEST_F(Context, StampTellsThatAFileWasReplaced) {
  const std::string before = StampOf(files_);
  EXPECT_EQ(StampOf(files_), before);
  authority_.Agent("web1");
  EXPECT_NE(StampOf(files_), before);
}

}  // namespace
}  // namespace postern::tls
