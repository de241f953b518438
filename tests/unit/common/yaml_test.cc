// SPDX-License-Identifier: Apache-2.0
#include "common/yaml.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

namespace postern {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

constexpr absl::string_view kKnown[] = {"mode", "ports", "rules", "spool"};

class YamlReaderTest : public testing::Test {
 protected:
  std::vector<std::string> Faults() const {
    std::vector<std::string> lines;
    for (const YamlFault& fault : reader_.faults()) lines.push_back(fault.ToString());
    return lines;
  }

  YamlReader reader_{"a.yaml"};
};

TEST_F(YamlReaderTest, UnknownKeyIsToldWithLineAndNearestKnownOne) {
  const YAML::Node root = reader_.Parse("mode: monitor\nprots: [25]\n");
  EXPECT_TRUE(reader_.CheckMap(root, "the configuration", kKnown));
  EXPECT_THAT(Faults(), ElementsAre("a.yaml:2: unknown key 'prots' in the configuration; the "
                                    "nearest known one is 'ports'"));
}

TEST_F(YamlReaderTest, KeyGivenTwiceIsAFault) {
  reader_.CheckMap(reader_.Parse("mode: a\nmode: b\n"), "the configuration", kKnown);
  EXPECT_THAT(Faults(), ElementsAre("a.yaml:2: 'mode' is given twice in the configuration"));
}

TEST_F(YamlReaderTest, EveryFaultIsFoundInOneGoInTheOrderOfLines) {
  const YAML::Node root = reader_.Parse("ports: [25, x]\nspool: lots\nmode: enfroce\n");
  static constexpr absl::string_view kModes[] = {"monitor", "enforce"};
  reader_.Choice(root, "mode", kModes);
  reader_.Bytes(root, "spool");
  reader_.Numbers(root, "ports", 1, 65535);
  EXPECT_THAT(Faults(), ElementsAre(StartsWith("a.yaml:1: 'ports' wants a number"),
                                    StartsWith("a.yaml:2: 'spool' wants an amount"),
                                    AllOf(StartsWith("a.yaml:3: 'mode' cannot be 'enfroce'"),
                                          HasSubstr("nearest is 'enforce'"))));
}

TEST_F(YamlReaderTest, BrokenYamlIsOneFaultAndAnEmptyMap) {
  const YAML::Node root = reader_.Parse("mode: monitor\nports: [25\nrules: }\n");
  EXPECT_TRUE(reader_.CheckMap(root, "the configuration", kKnown));
  EXPECT_THAT(Faults(), ElementsAre(StartsWith("a.yaml:2: a list or map in brackets")));
}

TEST_F(YamlReaderTest, OnlyAnEmptyMapIsTakenForTheBuiltInSettings) {
  EXPECT_TRUE(reader_.CheckMap(reader_.Parse("{}\n"), "the configuration", kKnown));
  EXPECT_THAT(Faults(), IsEmpty());
  EXPECT_TRUE(reader_.CheckMap(reader_.Parse("# nothing\n"), "the configuration", kKnown));
  EXPECT_THAT(Faults(), ElementsAre(StartsWith("a.yaml:1: no key is set here")));
}

TEST_F(YamlReaderTest, DocumentThatIsNoMapIsAFault) {
  EXPECT_TRUE(reader_.Parse("- a\n- b\n").IsMap());
  EXPECT_THAT(Faults(), ElementsAre(HasSubstr("'key: value'")));
}

TEST_F(YamlReaderTest, AliasesAreRefused) {
  reader_.Parse("a: &x [1]\nb: [*x, *x]\n");
  EXPECT_THAT(Faults(), ElementsAre(HasSubstr("anchors and aliases")));
}

TEST_F(YamlReaderTest, DeepNestingIsRefused) {
  reader_.Parse(absl::StrCat("a: ", std::string(400, '['), std::string(400, ']')));
  EXPECT_THAT(Faults(), ElementsAre(HasSubstr("nested more than")));
}

TEST_F(YamlReaderTest, NestingBeyondTheParsersOwnBoundIsRefused) {
  reader_.Parse(absl::StrCat("a: ", std::string(100000, '[')));
  EXPECT_EQ(reader_.faults().size(), 1u);
}

TEST_F(YamlReaderTest, LargeFileIsRefused) {
  reader_.Parse(std::string(YamlReader::kMaxFileBytes + 1, '#'));
  EXPECT_THAT(Faults(), ElementsAre(HasSubstr("larger than")));
}

TEST_F(YamlReaderTest, SecondDocumentIsRefused) {
  reader_.Parse("mode: a\n---\nmode: b\n");
  EXPECT_THAT(Faults(), ElementsAre(HasSubstr("more than one YAML document")));
}

TEST_F(YamlReaderTest, MissingFileIsAFaultThatNamesIt) {
  YamlReader missing("/nonexistent/agent.yaml");
  EXPECT_TRUE(missing.Load().IsMap());
  ASSERT_EQ(missing.faults().size(), 1u);
  EXPECT_EQ(missing.faults()[0].ToString(),
            "/nonexistent/agent.yaml: cannot be read: No such file or directory");
}

TEST_F(YamlReaderTest, FolderInPlaceOfAFileIsAFault) {
  YamlReader folder("/");
  EXPECT_TRUE(folder.Load().IsMap());
  EXPECT_FALSE(folder.ok());
}

TEST_F(YamlReaderTest, AFileThatNeverEndsIsAFault) {
  YamlReader endless("/dev/zero");
  EXPECT_TRUE(endless.Load().IsMap());
  ASSERT_EQ(endless.faults().size(), 1u);
  EXPECT_EQ(endless.faults()[0].ToString(), "/dev/zero: cannot be read: not a regular file");
}

TEST_F(YamlReaderTest, OneValueAndListReadAlikeWithTheirLines) {
  const YAML::Node root = reader_.Parse("user: postfix\nexe:\n  - /a\n  - /b\nnone: []\n");
  ASSERT_EQ(reader_.Texts(root, "user").size(), 1u);
  EXPECT_EQ(reader_.Texts(root, "user")[0].text, "postfix");
  const std::vector<YamlText> exes = reader_.Texts(root, "exe");
  ASSERT_EQ(exes.size(), 2u);
  EXPECT_EQ(exes[1].text, "/b");
  EXPECT_EQ(exes[1].line, 4);
  EXPECT_THAT(reader_.Texts(root, "none"), IsEmpty());
  EXPECT_THAT(reader_.Texts(root, "absent"), IsEmpty());
  EXPECT_TRUE(reader_.ok());
}

TEST_F(YamlReaderTest, KeyWithoutValueIsAFault) {
  const YAML::Node root = reader_.Parse("mode:\nspool: ''\n");
  EXPECT_FALSE(reader_.Text(root, "mode"));
  EXPECT_FALSE(reader_.Text(root, "spool"));
  EXPECT_THAT(Faults(),
              ElementsAre("a.yaml:1: 'mode' wants one value", "a.yaml:2: 'spool' wants one value"));
}

TEST_F(YamlReaderTest, NumbersOutOfRangeAreFaults) {
  const YAML::Node root = reader_.Parse("a: 0\nb: 65536\nc: -1\nd: 0x19\ne: 25\n");
  for (const char* key : {"a", "b", "c", "d"}) EXPECT_FALSE(reader_.Number(root, key, 1, 65535));
  EXPECT_EQ(reader_.Number(root, "e", 1, 65535)->value, 25u);
  EXPECT_EQ(reader_.faults().size(), 4u);
}

TEST_F(YamlReaderTest, BytesKnowTheirUnits) {
  const YAML::Node root = reader_.Parse("a: 256MiB\nb: 10\nc: 1 GiB\nd: 1MB\ne: 99999999TiB\n");
  EXPECT_EQ(reader_.Bytes(root, "a"), uint64_t{256} << 20);
  EXPECT_EQ(reader_.Bytes(root, "b"), 10u);
  EXPECT_EQ(reader_.Bytes(root, "c"), uint64_t{1} << 30);
  EXPECT_FALSE(reader_.Bytes(root, "d"));
  EXPECT_FALSE(reader_.Bytes(root, "e"));
  EXPECT_EQ(reader_.faults().size(), 2u);
}

TEST_F(YamlReaderTest, DurationsKnowTheirUnits) {
  const YAML::Node root = reader_.Parse("a: 90d\nb: 15m\nc: 0d\nd: 90\ne: 9999999999w\n");
  EXPECT_EQ(reader_.Duration(root, "a"), absl::Hours(24 * 90));
  EXPECT_EQ(reader_.Duration(root, "b"), absl::Minutes(15));
  for (const char* key : {"c", "d", "e"}) EXPECT_FALSE(reader_.Duration(root, key));
  EXPECT_EQ(reader_.faults().front().message,
            "'c' wants a time above 0 like 90d (s, m, h, d, w), not '0d'");
  EXPECT_EQ(reader_.faults().size(), 3u);
}

TEST_F(YamlReaderTest, ItemsOfAListOfMapsKeepTheirLines) {
  const YAML::Node root = reader_.Parse("rules:\n  - name: a\n  - name: b\nspool: {}\n");
  const std::vector<YAML::Node> rules = reader_.Items(root, "rules");
  ASSERT_EQ(rules.size(), 2u);
  EXPECT_EQ(YamlReader::Line(rules[1]), 3);
  EXPECT_THAT(reader_.Items(root, "spool"), IsEmpty());
  EXPECT_EQ(reader_.faults().size(), 1u);
}

TEST_F(YamlReaderTest, BoolsAreTrueOrFalse) {
  const YAML::Node root = reader_.Parse("a: true\nb: false\nc: yes\n");
  EXPECT_EQ(reader_.Bool(root, "a"), true);
  EXPECT_EQ(reader_.Bool(root, "b"), false);
  EXPECT_FALSE(reader_.Bool(root, "c"));
  EXPECT_EQ(reader_.faults().size(), 1u);
}

TEST_F(YamlReaderTest, LookingForAKeyDoesNotAddIt) {
  YAML::Node root = reader_.Parse("mode: a\n");
  EXPECT_FALSE(YamlReader::Has(root, "spool"));
  EXPECT_EQ(root.size(), 1u);
}

}  // namespace
}  // namespace postern
