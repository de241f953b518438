// SPDX-License-Identifier: Apache-2.0
#include "server/ingest/message_cost.h"

#include <gmock/gmock.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "postern/v1/ingest.pb.h"
#include "server/ingest/ingest_service.h"

namespace postern::server {
namespace {

using ::testing::HasSubstr;

absl::Status Check(const std::string& bytes, size_t limit = kMaxIngestMessageCost) {
  google::protobuf::io::ArrayInputStream stream(bytes.data(), static_cast<int>(bytes.size()));
  return CheckCost(stream, *v1::IngestRequest::descriptor(), limit);
}

std::string Repeated(const std::string& unit, int count) {
  std::string text;
  for (int i = 0; i < count; ++i) text += unit;
  return text;
}

// A length-delimited field, as protobuf writes it.
std::string Field(int number, const std::string& content) {
  std::string bytes(1, static_cast<char>(number << 3 | 2));
  size_t size = content.size();
  for (; size >= 0x80; size >>= 7) bytes.push_back(static_cast<char>(size | 0x80));
  bytes.push_back(static_cast<char>(size));
  return bytes + content;
}

v1::Event Typical(int number) {
  v1::Event event;
  event.set_kind(v1::Event::CONNECT);
  event.set_time_ns(1'767'225'600'000'000'000);
  event.set_seq(static_cast<uint64_t>(number));
  event.set_pid(4'711);
  event.set_user("www-data");
  event.set_exe("/usr/sbin/php-fpm8.2");
  event.set_script("/var/www/site/wp-content/mail.php");
  event.set_destination(absl::StrCat("192.0.2.", number % 256));
  for (int i = 0; i < 4; ++i) event.add_args("php-fpm: pool www");
  for (int i = 0; i < 3; ++i) event.add_ancestors()->set_exe("/usr/lib/systemd/systemd");
  return event;
}

TEST(MessageCostTest, TheLargestBatchOfAnAgentPasses) {
  v1::IngestRequest request;
  for (int i = 0; i < 1000; ++i) *request.mutable_batch()->add_events() = Typical(i);
  EXPECT_EQ(Check(request.SerializeAsString()), absl::OkStatus());
  EXPECT_EQ(Check(v1::IngestRequest().SerializeAsString()), absl::OkStatus());
}

TEST(MessageCostTest, TwoBytesThatMakeAnEventCountAsOne) {
  const int kEvents = 3;
  const int kBatch = 2;
  const int kMillions = 2'000'000;
  const std::string event("\x1a\x00", 2);
  EXPECT_THAT(Check(Field(kBatch, Repeated(event, kMillions))).message(),
              HasSubstr("more than 32 MiB"));
  // And three that make an ancestor, within one event.
  const std::string ancestor("\xc2\x02\x00", 3);
  const std::string one = Field(kBatch, Field(kEvents, Repeated(ancestor, kMillions)));
  v1::IngestRequest request;
  ASSERT_TRUE(request.ParseFromString(one));
  ASSERT_EQ(request.batch().events(0).ancestors_size(), kMillions);
  EXPECT_THAT(Check(one).message(), HasSubstr("more than 32 MiB"));
}

TEST(MessageCostTest, FieldsOfANewerAgentAreCountedToo) {
  const int kUnknown = 15;
  v1::IngestRequest request;
  ASSERT_TRUE(request.ParseFromString(Field(kUnknown, "new")));
  EXPECT_EQ(Check(Field(kUnknown, "new")), absl::OkStatus());
  EXPECT_THAT(Check(Repeated(Field(kUnknown, ""), 1'000'000)).message(), HasSubstr("more than"));
}

TEST(MessageCostTest, WhatIsNoMessageIsRefused) {
  for (const std::string& bytes :
       {std::string("\x12\x05x", 3), std::string("\x0b\x0c", 2), std::string("\xff", 1)}) {
    EXPECT_THAT(Check(bytes).message(), HasSubstr("not valid"));
  }
}

}  // namespace
}  // namespace postern::server
