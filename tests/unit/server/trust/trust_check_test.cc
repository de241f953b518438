// SPDX-License-Identifier: Apache-2.0
#include "server/trust/trust_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/pki/authority.h"
#include "tests/support/certificates.h"
#include "tests/support/temporary_folder.h"

namespace postern::server {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

namespace fs = std::filesystem;

class TrustCheckTest : public testing::Test {
 protected:
  TrustConfig Read(const std::string& text) {
    YamlReader reader("c.yaml");
    TrustConfig config = ReadTrust(reader, reader.Parse(text));
    EXPECT_THAT(reader.faults(), IsEmpty());
    return config;
  }
  std::string Fault(const std::string& text) {
    return std::string(CheckTrust(Read(text)).fault.message());
  }
  // Of somebody who may look into the folder, and read no key.
  std::string NoteForAnother(const std::string& text, const std::string& key) {
    fs::permissions(folder_.path(), fs::perms(0755));
    fs::permissions(fs::path(key).parent_path(), fs::perms(0755));
    for (const auto& entry : fs::directory_iterator(fs::path(key).parent_path())) {
      fs::permissions(entry.path(), fs::perms(entry.path() == key ? 0 : 0755));
    }
    const bool root = geteuid() == 0;
    EXPECT_EQ(root ? seteuid(65534) : 0, 0);
    const TrustCheck check = CheckTrust(Read(text));
    EXPECT_EQ(root ? seteuid(0) : 0, 0);
    EXPECT_EQ(check.fault, absl::OkStatus());
    return check.note;
  }

  TemporaryFolder folder_;
  const std::string pki_ = folder_ / "pki";
};

TEST_F(TrustCheckTest, FolderThatIsNotThereIsAFault) {
  EXPECT_THAT(Fault("run_dir: /run\npki: {dir: /nonexistent}\n"),
              HasSubstr("/nonexistent: no CA here; make one: postern pki init --dir /nonexistent"));
  EXPECT_EQ(Read("run_dir: /run\npki: {dir: /nonexistent}\n").files_line, 2);
  const std::string file = folder_ / "file";
  std::ofstream(file) << "no folder";
  EXPECT_THAT(Fault(absl::StrCat("pki: {dir: ", file, "}")), HasSubstr(file));
}

TEST_F(TrustCheckTest, SoundCaIsNoFaultAndADamagedOneIs) {
  ASSERT_TRUE(pki::Authority::Init(pki_, {"localhost"}, absl::Now()).ok());
  const std::string text = absl::StrCat("pki: {dir: ", pki_, "}");
  EXPECT_THAT(Fault(text), IsEmpty());
  EXPECT_THAT(CheckTrust(Read(text)).note, IsEmpty());
  std::ofstream(pki_ + "/ca.pem", std::ios::trunc) << "no certificate";
  EXPECT_FALSE(CheckTrust(Read(text)).fault.ok());
}

TEST_F(TrustCheckTest, FilesThatNobodyHasNeedOfAreNotLookedAt) {
  EXPECT_EQ(CheckTrust(Read("listen: []\npki: {lifetime: 1d}\n")).fault, absl::OkStatus());
  TrustConfig config = Read("listen: \"127.0.0.1:7425\"\n");
  config.pki_folder = pki_;
  EXPECT_THAT(std::string(CheckTrust(config).fault.message()), HasSubstr("no CA here"));
}

TEST_F(TrustCheckTest, KeyThatOnlyRootMayReadIsNoFaultOfSomebodyElsesCheck) {
  ASSERT_TRUE(pki::Authority::Init(pki_, {"localhost"}, absl::Now()).ok());
  const std::string note = NoteForAnother(absl::StrCat("pki: {dir: ", pki_, "}"), pki_ + "/ca.key");
  EXPECT_THAT(note, HasSubstr(pki_ + "/ca.key"));
  EXPECT_THAT(note, HasSubstr("check as root"));
}

TEST_F(TrustCheckTest, FilesOfAnOwnCaAreLookedAt) {
  const support::TestAuthority own(folder_.path(), "own");
  const tls::Files files = own.Server({"127.0.0.1"});
  const auto text = [&](const std::string& ca) {
    return absl::StrCat("tls: {ca: ", ca, ", cert: ", files.cert, ", key: ", files.key, "}");
  };
  EXPECT_THAT(Fault(text(files.ca)), IsEmpty());
  EXPECT_THAT(Fault(text("/nonexistent/ca.pem")), HasSubstr("/nonexistent/ca.pem"));
}

}  // namespace
}  // namespace postern::server
