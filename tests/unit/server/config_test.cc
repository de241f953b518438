// SPDX-License-Identifier: Apache-2.0
#include "server/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace postern::server {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

class ConfigTest : public testing::Test {
 protected:
  CollectorConfig Read(absl::string_view text) {
    std::vector<YamlFault> faults;
    CollectorConfig config = ParseCollectorConfig("c.yaml", text, faults);
    faults_.clear();
    for (const YamlFault& fault : faults) faults_.push_back(fault.ToString());
    return config;
  }

  std::vector<std::string> faults_;
};

TEST_F(ConfigTest, EveryKeyOfTheDesignIsRead) {
  const CollectorConfig config = Read(
      "run_dir: /run/here\nlisten: []\ntls: {ca: /a, cert: /b, key: /c}\n"
      "store: sqlite:/data/events.db\nretention: 7d\n");
  EXPECT_THAT(faults_, IsEmpty());
  EXPECT_EQ(config.run_dir, "/run/here");
  EXPECT_EQ(config.sqlite_path, "/data/events.db");
  EXPECT_EQ(config.retention, absl::Hours(7 * 24));
}

TEST_F(ConfigTest, AFileThatIsEmptyOrOnlyCommentsIsRefused) {
  for (const char* text : {"", "# What the collector of Pos"}) {
    Read(text);
    EXPECT_THAT(faults_, ElementsAre(StartsWith("c.yaml:1: no key is set here"))) << text;
  }
}

TEST_F(ConfigTest, WhatIsNotWrittenHasItsDefault) {
  const CollectorConfig config = Read("{}");
  EXPECT_THAT(faults_, IsEmpty());
  EXPECT_EQ(config.run_dir, "/run/postern-collector");
  EXPECT_EQ(config.sqlite_path, "/var/lib/postern-collector/events.db");
  EXPECT_EQ(config.retention, absl::Hours(90 * 24));
}

TEST_F(ConfigTest, EachFaultIsToldByLineInOneGo) {
  Read("run_dir: run\nretentoin: 90d\nstore: /data/events.db\ntls:\n  cret: /b\n");
  EXPECT_THAT(faults_, ElementsAre(AllOf(StartsWith("c.yaml:1: "), HasSubstr("absolute")),
                                   AllOf(StartsWith("c.yaml:2: "), HasSubstr("'retention'")),
                                   AllOf(StartsWith("c.yaml:3: "), HasSubstr("sqlite:")),
                                   AllOf(StartsWith("c.yaml:5: "), HasSubstr("'cert'"))));
}

TEST_F(ConfigTest, ListeningOnTcpIsRefusedInOneLine) {
  Read("listen: [\"0.0.0.0:7425\", \"[::]:7425\"]\n");
  EXPECT_THAT(faults_, ElementsAre(AllOf(StartsWith("c.yaml:1: "),
                                         HasSubstr("TCP is not available in this version"))));
}

TEST_F(ConfigTest, ClickHouseIsRefusedWithoutRepeatingThePassword) {
  Read("store: clickhouse://user:secret@host:8123/database\n");
  EXPECT_THAT(faults_, ElementsAre(AllOf(HasSubstr("ClickHouse"), Not(HasSubstr("secret")))));
}

TEST_F(ConfigTest, RunDirThatASocketOrGrpcCannotNameIsRefused) {
  Read("run_dir: /run/" + std::string(100, 'a'));
  EXPECT_THAT(faults_, ElementsAre(HasSubstr("longer than")));
  Read("run_dir: /run/a%20b");
  EXPECT_THAT(faults_, ElementsAre(HasSubstr("letters, digits")));
}

TEST_F(ConfigTest, RetentionWithoutAUnitIsRefused) {
  Read("retention: 90\n");
  EXPECT_THAT(faults_, ElementsAre(HasSubstr("90d")));
}

}  // namespace
}  // namespace postern::server
