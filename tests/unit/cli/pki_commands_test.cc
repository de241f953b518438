// SPDX-License-Identifier: Apache-2.0
// The commands on certificates, on a CA in the test's folder.
#include <filesystem>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "common/pki/authority.h"
#include "common/tls/certificate.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/cli/fixture.h"

namespace postern::cli {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

const absl::Time kNow = absl::FromUnixNanos(static_cast<int64_t>(kAfternoon));

class PkiCommandsTest : public CliTest {
 protected:
  Result Pki(std::vector<std::string> words) {
    words.insert(words.begin(), "pki");
    words.insert(words.end(), {"--dir", folder_});
    return Postern(words);
  }
  void MakeCa() { ASSERT_EQ(Pki({"init", "--name", "localhost"}).code, 0); }
  void Issue(const std::string& host) {
    const tls::KeyPtr key = tls::MakeKey().value();
    ASSERT_TRUE(
        pki::Authority::Open(folder_)
            ->IssueAgent(host, tls::ToPem(*tls::MakeRequest(*key).value()), kNow, absl::Hours(1))
            .ok());
  }
  bool Revoked(pki::Role role, const std::string& name) {
    return pki::Revocations::Load(pki::RevocationsFile(folder_))->RevokedUntil(role, name) == kNow;
  }

  std::string folder_ = Path("pki");
};

TEST_F(PkiCommandsTest, NameThatNoCertificateWasSignedForIsRevokedAndDoubted) {
  ASSERT_NO_FATAL_FAILURE(MakeCa());
  ASSERT_NO_FATAL_FAILURE(Issue("web1.example.net"));
  const Result typo = Pki({"revoke", "web1.exmaple.net"});
  EXPECT_EQ(typo.code, 0) << typo.err;
  EXPECT_THAT(typo.out, HasSubstr("But none was signed here for agent web1.exmaple.net, as far as "
                                  "is on record; did you mean web1.example.net?\n"));
  EXPECT_TRUE(Revoked(pki::Role::kAgent, "web1.exmaple.net"));
  EXPECT_FALSE(json::parse(Pki({"revoke", "web9", "--json"}).out).at("on_record"));

  const Result right = Pki({"revoke", "web1.example.net"});
  EXPECT_EQ(right.code, 0) << right.err;
  EXPECT_THAT(right.out, Not(HasSubstr("on record")));
  EXPECT_TRUE(json::parse(Pki({"revoke", "web1.example.net", "--json"}).out).at("on_record"));
}

TEST_F(PkiCommandsTest, HostAndOperatorOfOneNameAreTwo) {
  ASSERT_NO_FATAL_FAILURE(MakeCa());
  ASSERT_EQ(Pki({"operator", "alice", "--out", Path("alice")}).code, 0);
  const Result host = Pki({"revoke", "alice"});
  EXPECT_THAT(host.out,
              HasSubstr("none was signed here for agent alice, as far as is on record\n"));
  EXPECT_THAT(Pki({"revoke", "--operator", "alice"}).out, Not(HasSubstr("on record")));
}

TEST_F(PkiCommandsTest, HostWithATokenAloneIsKnown) {
  ASSERT_NO_FATAL_FAILURE(MakeCa());
  ASSERT_EQ(Pki({"token", "web1"}).code, 0);
  EXPECT_THAT(Pki({"revoke", "web1"}).out, Not(HasSubstr("on record")));
}

TEST_F(PkiCommandsTest, FoldersAreNamedAsTheyAreCalledFromAnywhere) {
  const std::string here = std::filesystem::current_path();
  std::filesystem::create_directory(Path("with space"));
  std::filesystem::current_path(Path("with space"));
  folder_ = "./pki/";
  const Result made = Pki({"init", "--name", "localhost"});
  const Result alice = Pki({"operator", "alice", "--out", "alice"});
  const Result json_made = Postern({"pki", "init", "--name", "localhost", "--dir", "2", "--json"});
  std::filesystem::current_path(here);
  ASSERT_EQ(made.code, 0) << made.err;
  EXPECT_THAT(made.out,
              HasSubstr(absl::StrCat("with `pki: {dir: \"", Path("with space/pki"), "\"}`, and")));
  EXPECT_THAT(alice.out, HasSubstr(absl::StrCat("--ca ", Path("with space/alice/ca.pem"))));
  EXPECT_EQ(json::parse(json_made.out).at("folder"), Path("with space/2"));
}

TEST_F(PkiCommandsTest, OperatorWhoseFilesCannotBeKeptIsNotOnRecord) {
  ASSERT_NO_FATAL_FAILURE(MakeCa());
  const Result refused = Pki({"operator", "alice", "--out", Path("none/alice")});
  EXPECT_EQ(refused.code, 1);
  EXPECT_THAT(refused.err, HasSubstr("cannot make the folder " + Path("none/alice")));
  EXPECT_THAT(Pki({"revoke", "--operator", "alice"}).out,
              HasSubstr("none was signed here for operator alice"));
}

TEST_F(PkiCommandsTest, CaThatIsNoneIsNamed) {
  const Result missing = Pki({"token", "web1"});
  EXPECT_EQ(missing.err,
            absl::StrCat("postern: ", folder_, ": no CA here; make one: postern pki init --dir ",
                         folder_, "\n"));
  ASSERT_NO_FATAL_FAILURE(MakeCa());
  std::filesystem::resize_file(folder_ + "/ca.pem", 40);
  const Result cut = Pki({"token", "web1"});
  EXPECT_EQ(cut.code, 1);
  EXPECT_THAT(cut.err, HasSubstr(folder_ + "/ca.pem: "));
}

TEST_F(PkiCommandsTest, OddValuesAreRefusedWithWhatIsAllowed) {
  // One that begins with '-' must not be taken for another option.
  const auto option = [](const std::string& name, const std::string& value) {
    return value.empty() ? std::vector<std::string>{name, ""}
                         : std::vector<std::string>{absl::StrCat(name, "=", value)};
  };
  const auto refused = [this](std::vector<std::string> words, const std::vector<std::string>& more,
                              const std::string& said) {
    words.insert(words.end(), more.begin(), more.end());
    const Result result = Pki(std::move(words));
    EXPECT_EQ(result.code, 2) << said;
    EXPECT_EQ(result.out, "");
    EXPECT_THAT(result.err, HasSubstr(said));
    EXPECT_EQ(result.err.find('\n'), result.err.size() - 1) << result.err;
  };
  for (const char* name :
       {"", "a b", "a\nb", "\x01", "collector:7425", "-", "a..b", "*.example.net"}) {
    refused({"init"}, option("--name", name), "it wants one like collector.example.net");
  }
  EXPECT_FALSE(std::filesystem::exists(folder_));
  ASSERT_NO_FATAL_FAILURE(MakeCa());
  for (const char* time : {"", "0", "0s", "999ms", "-1h", "31d", "365000d", "x\n"}) {
    refused({"token", "web1"}, option("--expires", time),
            "--expires wants a time from 1s to 30d, like 15m or 7d, not '");
  }
  for (const char* time : {"", "0s", "-1h", "3651d", "365000d", "99999999999999999999d"}) {
    refused({"operator", "alice", "--out", Path("alice")}, option("--valid", time),
            "--valid wants a time from 1s to 3650d, like 15m or 7d, not '");
  }
  refused({"operator", "alice"}, {"--out", ""}, "--out wants the path of a folder");
  EXPECT_FALSE(std::filesystem::exists(Path("alice")));
  for (const char* name : {"", "a b", "a\nb", "*"}) {
    refused({"token", name}, {}, "is no name of a host: 1 to 255 printable characters");
    refused({"operator", name}, {"--out", Path("alice")}, "is no name of a host");
    refused({"revoke", name}, {}, "is no name of a host");
  }
  EXPECT_EQ(Pki({"token", "web1", "--expires", "30d"}).code, 0);
  EXPECT_EQ(Pki({"operator", "alice", "--out", Path("alice"), "--valid", "3650d"}).code, 0);
}

}  // namespace
}  // namespace postern::cli
