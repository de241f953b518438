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

TEST_F(ConfigTest, WhoMayComeInIsRead) {
  const TrustConfig trust = Read(
                                "listen: [\"0.0.0.0:7425\", \"[::]:7425\"]\n"
                                "pki: {dir: /data/pki, lifetime: 1d}\n"
                                "roles:\n"
                                "  - {name: noc, role: operator, hosts: [web1, \"db*\"]}\n"
                                "  - {name: \"*.example.net\", role: agent}\n"
                                "limits: {connections: 10, connections_per_agent: 2,\n"
                                "         bytes_per_second: 2MiB}\n")
                                .trust;
  EXPECT_THAT(faults_, IsEmpty());
  EXPECT_THAT(trust.listen, ElementsAre("0.0.0.0:7425", "[::]:7425"));
  EXPECT_EQ(trust.pki_folder, "/data/pki");
  EXPECT_EQ(trust.lifetime, absl::Hours(24));
  ASSERT_EQ(trust.roles.size(), 2u);
  EXPECT_EQ(trust.roles[0].role, pki::Role::kOperator);
  EXPECT_THAT(trust.roles[0].hosts, ElementsAre("web1", "db*"));
  EXPECT_EQ(trust.roles[1].name, "*.example.net");
  EXPECT_EQ(trust.connections, 10u);
  EXPECT_EQ(trust.connections_per_agent, 2u);
  EXPECT_EQ(trust.bytes_per_second, 2u << 20);
  EXPECT_FALSE(trust.own_ca());
}

TEST_F(ConfigTest, FaultsOfWhoMayComeInAreToldByLine) {
  Read(
      "listen: collector.example.net:7425\n"
      "tls: {ca: ca.pem, cert: /b}\n"
      "pki: {lifetime: 1s}\n"
      "roles:\n"
      "  - {name: a, role: root}\n"
      "  - {role: agent, hosts: []}\n"
      "limits: {bytes_per_second: 1B}\n");
  EXPECT_THAT(faults_, ElementsAre(AllOf(StartsWith("c.yaml:1: "), HasSubstr("ADDRESS:PORT")),
                                   AllOf(StartsWith("c.yaml:2: "), HasSubstr("absolute")),
                                   AllOf(StartsWith("c.yaml:2: "), HasSubstr("has no 'key'")),
                                   AllOf(StartsWith("c.yaml:3: "), HasSubstr("keep one of them")),
                                   AllOf(StartsWith("c.yaml:3: "), HasSubstr("10s")),
                                   AllOf(StartsWith("c.yaml:5: "), HasSubstr("root")),
                                   AllOf(StartsWith("c.yaml:6: "), HasSubstr("no 'name'")),
                                   AllOf(StartsWith("c.yaml:6: "), HasSubstr("empty")),
                                   AllOf(StartsWith("c.yaml:7: "), HasSubstr("1MiB"))));
}

TEST_F(ConfigTest, ClickHouseIsReadAndItsPasswordIsNotShown) {
  const CollectorConfig config = Read("store: clickhouse://user:secret@host/database\n");
  EXPECT_THAT(faults_, IsEmpty());
  ASSERT_TRUE(config.clickhouse);
  EXPECT_EQ(config.clickhouse->password, "secret");
  EXPECT_EQ(config.StoreName(), "clickhouse://host:8123/database");
}

TEST_F(ConfigTest, ClickHouseThatCannotBeReadIsRefusedWithoutRepeatingThePassword) {
  Read("store: clickhouse://user:secret@host:x/database\n");
  EXPECT_THAT(faults_, ElementsAre(AllOf(HasSubstr("/DATABASE"), Not(HasSubstr("secret")))));
}

TEST_F(ConfigTest, PasswordFileIsForClickHouseAlone) {
  const CollectorConfig config =
      Read("store: clickhouse://user@host/database\nstore_password_file: /etc/secret\n");
  EXPECT_THAT(faults_, IsEmpty());
  EXPECT_EQ(config.store_password_file, "/etc/secret");
  Read("store_password_file: /etc/secret\n");
  EXPECT_THAT(faults_, ElementsAre(HasSubstr("clickhouse:// alone")));
  Read("store: clickhouse://u:p@host/database\nstore_password_file: /etc/secret\n");
  EXPECT_THAT(faults_, ElementsAre(HasSubstr("keep one of them")));
  Read("store: clickhouse://u@host/database\nstore_password_file: secret\n");
  EXPECT_THAT(faults_, ElementsAre(HasSubstr("absolute")));
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

TEST_F(ConfigTest, MetricsAreServedOnLoopbackAlone) {
  EXPECT_EQ(Read("retention: 7d\n").metrics, "");
  EXPECT_EQ(Read("metrics: 127.0.0.1:7426\n").metrics, "127.0.0.1:7426");
  EXPECT_THAT(faults_, IsEmpty());
  EXPECT_EQ(Read("retention: 7d\nmetrics: 0.0.0.0:7426\n").metrics, "");
  EXPECT_THAT(faults_, ElementsAre(AllOf(StartsWith("c.yaml:2: 'metrics' wants"),
                                         HasSubstr("not '0.0.0.0:7426'"))));
}

}  // namespace
}  // namespace postern::server
