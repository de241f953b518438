// SPDX-License-Identifier: Apache-2.0
#include "agent/sensor/decoder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <cstring>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "bpf/abi/event.h"

namespace postern::sensor {
namespace {

using ::testing::ElementsAre;

constexpr int64_t kOffset = 1'700'000'000'000'000'000;

// A connect record as the kernel writes it.
class Record {
 public:
  Record() {
    connect_.record.kind = POSTERN_RECORD_CONNECT;
    connect_.record.version = POSTERN_ABI_VERSION;
    connect_.record.time = 1000;
    connect_.record.sequence = 7;
    connect_.tgid = 42;
    connect_.tid = 43;
    connect_.uid = 33;
    connect_.loginuid = 0xffffffff;
    connect_.family = AF_INET;
    connect_.protocol = 6;
    connect_.port = 25;
    connect_.verdict = POSTERN_VERDICT_DENIED;
    connect_.source = POSTERN_IDENTITY_EXEC;
    connect_.rule = 3;
    connect_.generation = 9;
    const uint8_t address[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 198, 51, 100, 25};
    memcpy(connect_.destination, address, sizeof(address));
    strcpy(connect_.comm, "perl");
  }

  postern_connect& fixed() { return connect_; }

  void AddAncestor(uint32_t pid, const char* comm, const std::string& walk, int flags = 0) {
    postern_ancestor ancestor = {};
    ancestor.pid = pid;
    strncpy(ancestor.comm, comm, sizeof(ancestor.comm) - 1);
    ancestor.exe_bytes = static_cast<uint16_t>(walk.size());
    ancestor.exe_flags = static_cast<uint16_t>(flags);
    memcpy(ancestor.exe, walk.data(), walk.size());
    ancestors_.append(reinterpret_cast<const char*>(&ancestor), sizeof(ancestor));
    ++connect_.description.ancestors;
  }
  void SetExe(const std::string& walk) {
    connect_.description.exe_bytes = static_cast<uint16_t>(walk.size());
    exe_ = walk;
  }
  void SetScript(const std::string& script) {
    connect_.description.script_bytes = static_cast<uint16_t>(script.size());
    script_ = script;
  }
  void SetArgs(const std::string& head, const std::string& tail = "", uint32_t omitted = 0) {
    connect_.description.args_head_bytes = static_cast<uint16_t>(head.size());
    connect_.description.args_tail_bytes = static_cast<uint16_t>(tail.size());
    connect_.description.args_total = static_cast<uint32_t>(head.size() + tail.size()) + omitted;
    args_ = head + tail;
  }

  std::string Bytes() {
    const std::string texts = ancestors_ + exe_ + script_ + args_;
    connect_.record.bytes = static_cast<uint32_t>(sizeof(connect_) + texts.size());
    return std::string(reinterpret_cast<const char*>(&connect_), sizeof(connect_)) + texts;
  }

 private:
  postern_connect connect_ = {};
  std::string ancestors_, exe_, script_, args_;
};

absl::StatusOr<DecodedRecord> DecodeBytes(const std::string& bytes) {
  return Decode({reinterpret_cast<const std::byte*>(bytes.data()), bytes.size()}, kOffset);
}

using namespace std::string_literals;

TEST(DecoderTest, ACanarysRecordIsOfItsOwnKind) {
  Record record;
  EXPECT_EQ(DecodeBytes(record.Bytes())->event.kind(), v1::Event::CONNECT);
  record.fixed().flags = POSTERN_CONNECT_CANARY;
  const auto decoded = DecodeBytes(record.Bytes());
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(decoded->event.kind(), v1::Event::CANARY);
  EXPECT_EQ(decoded->event.verdict(), v1::Event::DENIED);
  EXPECT_EQ(decoded->event.pid(), 42u);
}

TEST(DecoderTest, TimeBefore1970IsNotOneOfTheFarFuture) {
  Record record;
  const std::string bytes = record.Bytes();
  const auto decoded =
      Decode({reinterpret_cast<const std::byte*>(bytes.data()), bytes.size()}, -2000);
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(decoded->event.time_ns(), 1u);
  EXPECT_EQ(decoded->event.boot_time_ns(), 1000u);
}

TEST(DecoderTest, ConnectHasWhatTheKernelWrote) {
  Record record;
  record.AddAncestor(1, "systemd", "systemd/systemd/lib/usr/");
  record.AddAncestor(40, "php-fpm8.2", "php-fpm8.2/sbin/usr/");
  record.SetExe("perl/bin/usr/");
  record.SetScript("/var/www/bot.pl");
  record.SetArgs("perl\0/var/www/bot.pl\0"s);
  const auto decoded = DecodeBytes(record.Bytes());
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  const v1::Event& event = decoded->event;
  EXPECT_EQ(event.time_ns(), kOffset + 1000u);
  EXPECT_EQ(event.seq(), 7u);
  EXPECT_EQ(event.verdict(), v1::Event::DENIED);
  EXPECT_EQ(event.identity(), v1::Event::EXEC);
  EXPECT_EQ(event.pid(), 42u);
  EXPECT_EQ(event.uid(), 33u);
  EXPECT_FALSE(event.has_loginuid());
  EXPECT_EQ(event.exe(), "/usr/bin/perl");
  EXPECT_EQ(event.script(), "/var/www/bot.pl");
  EXPECT_THAT(event.args(), ElementsAre("perl", "/var/www/bot.pl"));
  EXPECT_EQ(event.destination(), "198.51.100.25");
  EXPECT_EQ(event.family(), "ipv4");
  EXPECT_EQ(event.protocol(), "tcp");
  EXPECT_TRUE(event.has_destination_local());
  EXPECT_FALSE(event.destination_local());
  EXPECT_EQ(event.comm(), "perl");
  ASSERT_EQ(event.ancestors_size(), 2);
  EXPECT_EQ(event.ancestors(0).exe(), "/usr/lib/systemd/systemd");
  EXPECT_EQ(event.ancestors(1).pid(), 40u);
  EXPECT_EQ(decoded->rule, 3);
}

TEST(DecoderTest, WhatWasLocalThenIsSaid) {
  Record record;
  record.fixed().flags = POSTERN_CONNECT_LOCAL;
  const auto decoded = DecodeBytes(record.Bytes());
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_TRUE(decoded->event.destination_local());
}

TEST(DecoderTest, CutPathsHaveNoRoot) {
  Record record;
  record.SetExe("bot/deep/very/");
  record.fixed().description.text_flags = POSTERN_TEXT_EXE_CUT;
  record.AddAncestor(2, "x", "y/z/", POSTERN_TEXT_EXE_CUT);
  const auto decoded = DecodeBytes(record.Bytes());
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(decoded->event.exe(), "very/deep/bot");
  EXPECT_TRUE(decoded->event.exe_cut());
  EXPECT_EQ(decoded->event.ancestors(0).exe(), "z/y");
}

TEST(DecoderTest, NamesOutsideAnyTreeAreNotTakenForPaths) {
  Record record;
  record.SetExe("memfd:/smtp/sbin/postfix/lib/usr//");
  record.fixed().description.text_flags = POSTERN_TEXT_EXE_PSEUDO;
  record.AddAncestor(2, "x", "memfd:/y/z/", POSTERN_TEXT_EXE_PSEUDO);
  const auto decoded = DecodeBytes(record.Bytes());
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(decoded->event.exe(), "memfd:/smtp/sbin/postfix/lib/usr/");
  EXPECT_EQ(decoded->event.ancestors(0).exe(), "memfd:/y/z");
}

TEST(DecoderTest, LongArgvSaysWhereAndHowMuchIsMissing) {
  Record record;
  record.SetArgs("bot\0--a=aaa"s, "aaa\0--last\0"s, 1000);
  const auto decoded = DecodeBytes(record.Bytes());
  ASSERT_TRUE(decoded.ok());
  EXPECT_THAT(decoded->event.args(), ElementsAre("bot", "--a=aaa", "aaa", "--last"));
  EXPECT_EQ(decoded->event.args_cut_at(), 2u);
  EXPECT_EQ(decoded->event.args_omitted_bytes(), 1000u);
}

TEST(DecoderTest, HostileTextIsEscapedEverywhere) {
  Record record;
  strcpy(record.fixed().comm, "a\x1b[2J");
  record.SetExe("b\nc/tmp/");
  record.SetScript("s\xff");
  record.SetArgs("x\ry\0"s);
  record.AddAncestor(1, "\x07", "\xfe/");
  const auto decoded = DecodeBytes(record.Bytes());
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(decoded->event.comm(), "a\\x1b[2J");
  EXPECT_EQ(decoded->event.exe(), "/tmp/b\\x0ac");
  EXPECT_EQ(decoded->event.script(), "s\\xff");
  EXPECT_THAT(decoded->event.args(), ElementsAre("x\\x0dy"));
  EXPECT_EQ(decoded->event.ancestors(0).comm(), "\\x07");
  EXPECT_EQ(decoded->event.ancestors(0).exe(), "/\\xfe");
}

TEST(DecoderTest, RepeatsNameTheEventTheyStandFor) {
  postern_repeats raw = {};
  raw.record = {.kind = POSTERN_RECORD_REPEATS,
                .version = POSTERN_ABI_VERSION,
                .bytes = sizeof(raw),
                .time = 5,
                .sequence = 8};
  raw.last_time = 9;
  raw.count = 100;
  raw.first = 7;
  raw.tgid = 42;
  raw.family = AF_INET6;
  raw.destination[15] = 1;
  raw.port = 587;
  raw.verdict = POSTERN_VERDICT_WOULD_DENY;
  const auto decoded = DecodeBytes(std::string(reinterpret_cast<const char*>(&raw), sizeof(raw)));
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_TRUE(decoded->is_repeats);
  EXPECT_EQ(decoded->first_seq, 7u);
  // The event itself is the first of the hundred.
  EXPECT_EQ(decoded->event.repeats(), 99u);
  EXPECT_EQ(decoded->event.last_time_ns(), kOffset + 9u);
  EXPECT_EQ(decoded->event.destination(), "::1");
}

TEST(DecoderTest, ARawSocketHasAProtocolAndNoDestination) {
  Record record;
  record.fixed().record.kind = POSTERN_RECORD_RAW_SOCKET;
  record.fixed().port = 255;
  record.SetExe("nmap/bin/usr/");
  const v1::Event raw = DecodeBytes(record.Bytes())->event;
  EXPECT_EQ(raw.kind(), v1::Event::RAW_SOCKET);
  EXPECT_EQ(raw.family(), "ipv4");
  EXPECT_EQ(raw.protocol(), "raw");
  EXPECT_EQ(raw.port(), 0u);
  EXPECT_EQ(raw.destination(), "");
  EXPECT_EQ(raw.exe(), "/usr/bin/nmap");
  record.fixed().port = 58;
  EXPECT_EQ(DecodeBytes(record.Bytes())->event.protocol(), "icmp");

  record.fixed().record.kind = POSTERN_RECORD_PACKET_SOCKET;
  record.fixed().family = AF_PACKET;
  for (const auto& [protocol, name] : std::vector<std::pair<uint16_t, std::string>>{
           {0, "none"}, {3, "all"}, {0x0800, "ip"}, {0x86dd, "ipv6"}, {0x88cc, "88cc"}}) {
    record.fixed().port = protocol;
    const v1::Event packet = DecodeBytes(record.Bytes())->event;
    EXPECT_EQ(packet.kind(), v1::Event::PACKET_SOCKET);
    EXPECT_EQ(packet.family(), "packet");
    EXPECT_EQ(packet.protocol(), name);
  }
}

TEST(DecoderTest, AnEarlierConnectionHasItsPeer) {
  Record record;
  record.fixed().record.kind = POSTERN_RECORD_EARLIER_CONNECTION;
  const v1::Event event = DecodeBytes(record.Bytes())->event;
  EXPECT_EQ(event.kind(), v1::Event::EARLIER_CONNECTION);
  EXPECT_EQ(event.destination(), "198.51.100.25");
  EXPECT_EQ(event.port(), 25u);
  EXPECT_EQ(event.protocol(), "tcp");
}

TEST(DecoderTest, RepeatsOfRawSocketsAreNoConnects) {
  postern_repeats raw = {};
  raw.record = {.kind = POSTERN_RECORD_REPEATS,
                .version = POSTERN_ABI_VERSION,
                .bytes = sizeof(raw),
                .time = 5,
                .sequence = 8};
  raw.count = 3;
  raw.port = 6;
  raw.kind = POSTERN_RECORD_RAW_SOCKET;
  raw.flags = POSTERN_REPEATS_SPREAD;
  const auto decoded = DecodeBytes(std::string(reinterpret_cast<const char*>(&raw), sizeof(raw)));
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(decoded->event.kind(), v1::Event::RAW_SOCKET);
  EXPECT_EQ(decoded->event.protocol(), "tcp");
  EXPECT_EQ(decoded->event.port(), 0u);
  EXPECT_TRUE(decoded->event.destinations_not_kept());
}

TEST(DecoderTest, NewerVersionAndUnknownKindAreToldApartFromGarbage) {
  Record record;
  record.fixed().record.version = POSTERN_ABI_VERSION + 1;
  EXPECT_EQ(DecodeBytes(record.Bytes()).status().code(), absl::StatusCode::kUnimplemented);
  record.fixed().record.version = POSTERN_ABI_VERSION;
  record.fixed().record.kind = 999;
  EXPECT_EQ(DecodeBytes(record.Bytes()).status().code(), absl::StatusCode::kUnimplemented);
  EXPECT_EQ(DecodeBytes("short").status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(DecoderTest, EveryCutOfARecordIsRefused) {
  Record record;
  record.AddAncestor(1, "x", "y/");
  record.SetExe("perl/bin/");
  record.SetArgs("perl\0-e\0"s);
  const std::string whole = record.Bytes();
  for (size_t length = 0; length < whole.size(); ++length) {
    EXPECT_FALSE(DecodeBytes(whole.substr(0, length)).ok()) << length;
  }
}

TEST(DecoderTest, DamagedRecordsNeverGiveInvalidText) {
  Record record;
  record.AddAncestor(1, "x", "y/");
  record.SetExe("perl/bin/");
  record.SetArgs("perl\0-e\0"s, "tail\0"s, 10);
  const std::string whole = record.Bytes();
  std::mt19937 random(2);
  for (int round = 0; round < 20000; ++round) {
    std::string damaged = whole;
    for (int i = 0; i < 4; ++i) damaged[random() % damaged.size()] = static_cast<char>(random());
    const auto decoded = DecodeBytes(damaged);
    if (!decoded.ok()) continue;
    // protobuf refuses strings that are not UTF-8 when it parses them.
    v1::Event copy;
    EXPECT_TRUE(copy.ParseFromString(decoded->event.SerializeAsString()));
  }
}

}  // namespace
}  // namespace postern::sensor
