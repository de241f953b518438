// SPDX-License-Identifier: Apache-2.0
#include "server/trust/message_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace postern::server {
namespace {

using ::testing::HasSubstr;

constexpr size_t kMost = 1000;
constexpr uint8_t kData = 0;
constexpr uint8_t kHeaders = 1;
constexpr uint8_t kReset = 3;
constexpr uint8_t kEndStream = 1;
constexpr uint8_t kPadded = 8;

const std::string kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

std::string BigEndian(size_t value, int bytes) {
  std::string text;
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) {
    text.push_back(static_cast<char>(value >> shift & 0xff));
  }
  return text;
}

std::string Frame(uint8_t type, uint8_t flags, uint32_t stream, const std::string& payload) {
  return BigEndian(payload.size(), 3) + static_cast<char>(type) + static_cast<char>(flags) +
         BigEndian(stream, 4) + payload;
}

// Its announcement, and so much of it.
std::string Message(size_t announced, size_t sent) {
  return std::string(1, '\0') + BigEndian(announced, 4) + std::string(sent, 'x');
}

absl::Status See(const std::string& bytes, size_t cut = 1 << 20) {
  MessageWatch watch(kMost);
  for (size_t at = 0; at < bytes.size(); at += cut) {
    const absl::Status status = watch.See(bytes.substr(at, cut));
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

// However the bytes are cut.
void ExpectOk(const std::string& bytes) {
  for (const size_t cut : {1, 2, 3, 7, 100, 1 << 20}) EXPECT_EQ(See(bytes, cut), absl::OkStatus());
}
void ExpectRefused(const std::string& bytes, const std::string& why) {
  for (const size_t cut : {1, 2, 3, 7, 100, 1 << 20}) {
    EXPECT_THAT(std::string(See(bytes, cut).message()), HasSubstr(why)) << cut;
  }
}

TEST(MessageWatchTest, MessagesUpToTheLimitPass) {
  ExpectOk(kPreface + Frame(kHeaders, 4, 1, "headers") +
           Frame(kData, 0, 1, Message(kMost, kMost) + Message(0, 0) + Message(5, 5)) +
           Frame(kData, kEndStream, 1, ""));
}

TEST(MessageWatchTest, LargerOneIsRefusedByWhatItAnnounces) {
  ExpectRefused(kPreface + Frame(kData, 0, 1, Message(kMost + 1, 0)), "a message of 1001 bytes");
  ExpectRefused(kPreface + Frame(kData, 0, 1, Message(0xffffffff, 0)), "4294967295");
  // Behind others too.
  ExpectRefused(kPreface + Frame(kData, 0, 1, Message(3, 3) + Message(kMost + 1, 0)), "1001");
}

TEST(MessageWatchTest, CompressedOneIsRefused) {
  std::string compressed = Message(3, 3);
  compressed[0] = 1;
  ExpectRefused(kPreface + Frame(kData, 0, 1, compressed), "gRPC has compressed");
}

TEST(MessageWatchTest, AnnouncementInPiecesIsPutTogether) {
  const std::string announced = Message(kMost + 1, 0);
  std::string bytes = kPreface;
  for (const char byte : announced) bytes += Frame(kData, 0, 1, std::string(1, byte));
  ExpectRefused(bytes, "1001");
  // With others' frames between them.
  bytes = kPreface + Frame(kData, 0, 1, announced.substr(0, 2)) +
          Frame(kData, 0, 3, Message(10, 4)) + Frame(4, 0, 0, std::string(6, '\xff')) +
          Frame(kData, 0, 3, "xxxxxx") + Frame(kData, 0, 1, announced.substr(2));
  ExpectRefused(bytes, "1001");
}

TEST(MessageWatchTest, PaddingIsNoData) {
  const std::string padded = std::string(1, 5) + Message(3, 3) + std::string(5, '\xff');
  ExpectOk(kPreface + Frame(kData, kPadded, 1, padded) + Frame(kData, 0, 1, Message(1, 1)));
  const std::string large = std::string(1, 2) + Message(kMost + 1, 0) + std::string(2, '\0');
  ExpectRefused(kPreface + Frame(kData, kPadded, 1, large), "1001");
  ExpectRefused(kPreface + Frame(kData, kPadded, 1,
                                 "\x05"
                                 "abc"),
                "no HTTP/2");
  ExpectRefused(kPreface + Frame(kData, kPadded, 1, ""), "no HTTP/2");
}

TEST(MessageWatchTest, StreamThatEndedIsForgotten) {
  std::string bytes = kPreface;
  for (uint32_t stream = 1; stream < 1000; stream += 2) {
    bytes += Frame(kData, kEndStream, stream, Message(10, 1));
    bytes += Frame(kData, 0, stream, Message(10, 1)) + Frame(kReset, 0, stream, "code");
  }
  ExpectOk(bytes);
}

TEST(MessageWatchTest, ManyStreamsThatDoNotEndAreRefused) {
  std::string bytes = kPreface;
  for (uint32_t stream = 0; stream <= MessageWatch::kMaxStreams; ++stream) {
    bytes += Frame(kData, 0, stream, Message(10, 1));
  }
  ExpectRefused(bytes, "streams that did not end");
}

TEST(MessageWatchTest, WhatIsNoHttp2IsRefusedAtTheFirstByte) {
  ExpectRefused("GET / HTTP/1.1\r\n", "no HTTP/2");
  ExpectRefused("PRI * HTTP/2.0\r\n\r\nSN", "no HTTP/2");
  ExpectOk(kPreface.substr(0, 10));
}

TEST(MessageWatchTest, OpenedStreamsAreCounted) {
  MessageWatch watch(kMost);
  ASSERT_TRUE(watch.See(kPreface + Frame(kHeaders, 4, 1, "h") + Frame(kHeaders, 4, 3, "h")).ok());
  EXPECT_EQ(watch.TakeOpened(), 2);
  EXPECT_EQ(watch.TakeOpened(), 0);
}

}  // namespace
}  // namespace postern::server
