// SPDX-License-Identifier: Apache-2.0
// What a redirect does to a connection, and what its program sees of it.
#include <bpf/bpf.h>
#include <unistd.h>

#include <map>
#include <memory>
#include <optional>
#include <set>

#include "absl/strings/str_cat.h"
#include "bpf/abi/base.h"
#include "bpf/abi/counters.h"
#include "common/address.h"
#include "tests/kernel/kernel_test.h"
#include "tests/kernel/servers.h"

namespace postern::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

constexpr char kAsWwwData[] = "--uid=33";

class RedirectTest : public KernelTest {
 protected:
  RedirectTest() : KernelTest(SensorOf::kSuite) {}

  void SetUp() override {
    KernelTest::SetUp();
    network_ = absl::StrCat("--network=/proc/", getpid(), "/fd/", host().network_before());
    servers_ = std::make_unique<Servers>(host().network_before());
  }

  // Of port 25 alone the compiler's checks make sure; here it is the watched one.
  static policy::Rule Redirect(std::optional<uint32_t> user = kWwwData) {
    policy::Rule rule;
    rule.name = "plugins";
    if (user.has_value()) rule.users = {{.text = absl::StrCat(*user), .id = *user}};
    rule.action = POSTERN_ACTION_REDIRECT;
    return rule;
  }

  // www-data connects from the network that the servers are in.
  std::vector<Report> Attempts(std::vector<std::string> options,
                               const std::string& to = kInternet4) {
    options.insert(options.begin(), {network_, kAsWwwData, "--peer"});
    return RunToEnd(ConnectLine(std::move(options), to));
  }
  Report Attempt(std::vector<std::string> options, const std::string& to = kInternet4) {
    const std::vector<Report> reports = Attempts(std::move(options), to);
    EXPECT_EQ(reports.size(), 1u);
    return reports.empty() ? Report() : reports.front();
  }

  void ExpectVerdict(const Report& report, v1::Event::Verdict verdict) {
    const v1::Event event = EventOf(report);
    EXPECT_EQ(event.verdict(), verdict) << event.ShortDebugString();
    EXPECT_EQ(event.destination(), report.at("address")) << event.ShortDebugString();
    EXPECT_EQ(event.port(), kWatchedPort);
  }

  std::string network_;
  std::unique_ptr<Servers> servers_;
};

struct Way {
  const char* name;
  std::vector<std::string> options;
  const char* to;
  const char* own;  // where it gets to
  const char* result = "OK";
  const char* prefix = "";  // of the peer, as the program sees it
};

class RedirectedWaysTest : public RedirectTest, public ::testing::WithParamInterface<Way> {
 protected:
  // Looks the same to the program whether or not it is redirected.
  Report AttemptAndLook(const char* server) {
    const Way& way = GetParam();
    Report report = Attempt(way.options, way.to);
    EXPECT_EQ(report.at("result"), way.result);
    EXPECT_EQ(servers_->Accept(), server);
    EXPECT_EQ(report.at("peer"), absl::StrCat(way.prefix, way.to));
    EXPECT_EQ(report.at("peer_port"), absl::StrCat(kWatchedPort));
    return report;
  }
};

TEST_P(RedirectedWaysTest, WithoutPosternGetsToWhereItAsked) {
  UseOwnSensor();
  AttemptAndLook(GetParam().to);
}

TEST_P(RedirectedWaysTest, GetsToTheOwnServerAndShowsWhatWasAskedFor) {
  const Way& way = GetParam();
  Enforce({Redirect()});
  const v1::Event event = EventOf(AttemptAndLook(way.own));
  EXPECT_EQ(event.verdict(), v1::Event::REDIRECTED) << event.ShortDebugString();
  EXPECT_EQ(event.destination(), way.to);
  EXPECT_EQ(event.port(), kWatchedPort);
}

INSTANTIATE_TEST_SUITE_P(
    Every, RedirectedWaysTest,
    ::testing::Values(Way{"Connect4", {}, kInternet4, "127.0.0.1"},
                      Way{"NonBlocking4", {"--nonblock"}, kInternet4, "127.0.0.1", "EINPROGRESS"},
                      Way{"FastOpenSend4", {"--way=fastopen_send"}, kInternet4, "127.0.0.1"},
                      Way{"FastOpenConnect4", {"--way=fastopen_connect"}, kInternet4, "127.0.0.1"},
                      Way{"IoUring4", {"--way=io_uring"}, kInternet4, "127.0.0.1"},
                      Way{"SqPoll4", {"--way=sqpoll"}, kInternet4, "127.0.0.1"},
                      Way{"Mptcp4", {"--mptcp"}, kInternet4, "127.0.0.1"},
                      Way{"Mapped", {"--mapped"}, kInternet4, "127.0.0.1", "OK", "::ffff:"},
                      Way{"Connect6", {}, kInternet6, "::1"},
                      Way{"NonBlocking6", {"--nonblock"}, kInternet6, "::1", "EINPROGRESS"},
                      Way{"FastOpenSend6", {"--way=fastopen_send"}, kInternet6, "::1"},
                      Way{"Mptcp6", {"--mptcp"}, kInternet6, "::1"}),
    [](const auto& way) { return std::string(way.param.name); });

TEST_F(RedirectTest, MonitorLetsThroughAndRecordsWhatItWouldRedirect) {
  Monitor({Redirect()});
  const Report report = Attempt({});
  EXPECT_EQ(report.at("result"), "OK");
  EXPECT_EQ(servers_->Accept(), kInternet4);
  EXPECT_EQ(report.at("peer"), kInternet4);
  ExpectVerdict(report, v1::Event::WOULD_REDIRECT);
}

TEST_F(RedirectTest, WhatGoesToThisHostAlreadyPassesAsItIs) {
  UseOwnSensor();
  Enforce({Redirect()});
  for (const char* to : {"127.0.0.1", "::1"}) {
    const Report report = Attempt({}, to);
    EXPECT_EQ(servers_->Accept(), to);
    EXPECT_EQ(report.at("peer"), to);
    ExpectVerdict(report, v1::Event::ALLOWED);
  }
  const std::vector<Address> own = {ParseAddress(kInternet4).value()};
  ASSERT_TRUE(sensor_->SetLocalAddresses(own).ok());
  const Report report = Attempt({});
  EXPECT_EQ(servers_->Accept(), kInternet4);
  ExpectVerdict(report, v1::Event::ALLOWED);
}

TEST_F(RedirectTest, SocketThatConnectsAgainShowsItsNewPeer) {
  policy::Rule unredirected = AllowAll();
  unredirected.users = {{.text = "33", .id = kWwwData}};
  unredirected.action = POSTERN_ACTION_ALLOW;
  unredirected.destinations.emplace_back();
  unredirected.destinations[0].ipv4 = true;
  unredirected.destinations[0].prefix.bits = 128;
  const Address internet = ParseAddress(kInternet4).value();
  std::copy(internet.begin(), internet.end(), unredirected.destinations[0].prefix.address);
  Enforce({unredirected, Redirect()});
  // To the very address and port that the first was redirected to: its own wish now.
  std::vector<Report> reports = Attempts({"--again=127.0.0.1"}, "198.51.100.99");
  ASSERT_EQ(reports.size(), 2u);
  EXPECT_EQ(reports[0].at("peer"), "198.51.100.99");
  EXPECT_EQ(reports[1].at("peer"), "127.0.0.1");
  EXPECT_EQ(servers_->Accept(), "127.0.0.1");
  EXPECT_EQ(servers_->Accept(), "127.0.0.1");
  reports = Attempts({absl::StrCat("--again=", kInternet4)}, "198.51.100.99");
  ASSERT_EQ(reports.size(), 2u);
  EXPECT_EQ(reports[0].at("peer"), "198.51.100.99");
  EXPECT_EQ(reports[1].at("peer"), kInternet4);
  EXPECT_EQ(servers_->Accept(), "127.0.0.1");
  EXPECT_EQ(servers_->Accept(), kInternet4);
  reports = Attempts({"--again=198.51.100.98"}, "198.51.100.99");
  ASSERT_EQ(reports.size(), 2u);
  EXPECT_EQ(reports[1].at("peer"), "198.51.100.98");
}

TEST_F(RedirectTest, ConnectThatNobodyJudgedIsNotTakenForTheOneBefore) {
  UseOwnSensor();
  Enforce({Redirect()});
  Command late(ConnectLine({network_, kAsWwwData, "--peer", "--hold", "--again=127.0.0.1"}));
  EXPECT_EQ(late.ReadReport().count("pid"), 1u);
  config_.ports = {kUnwatchedPort};
  Enforce({Redirect()});
  late.WriteLine("");
  const std::vector<Report> reports = late.Finish();
  ASSERT_EQ(reports.size(), 2u);
  EXPECT_EQ(reports[1].at("peer"), "127.0.0.1");
}

TEST_F(RedirectTest, InAnotherNetworkNamespaceItIsDenied) {
  // The tests' own, where the internet's addresses have listeners too.
  EXPECT_THAT(Connect({kAsWwwData}), ElementsAre("OK"));
  Monitor({Redirect()});
  EXPECT_THAT(Connect({kAsWwwData}), ElementsAre("OK"));
  ReadEventsUntil([](const Events& events) { return events.size() == 1; });
  EXPECT_EQ(ReadEvents().back().verdict(), v1::Event::WOULD_DENY);
  policy::Rule rule = Redirect();
  // Which what is denied does not use up.
  rule.limit = policy::Limit{.count = 1, .per = absl::Hours(1), .text = "1/h"};
  Enforce({rule});
  EXPECT_THAT(Connect({kAsWwwData}), ElementsAre("EPERM"));
  // Its loopback is another as well.
  EXPECT_EQ(RunToEnd(ConnectLine({kAsWwwData}, "127.0.0.1")).back().at("result"), "EPERM");
  ReadEventsUntil([](const Events& events) { return events.size() == 3; });
  for (size_t i : {1, 2}) EXPECT_EQ(ReadEvents()[i].verdict(), v1::Event::DENIED);
}

TEST_F(RedirectTest, SocketWithoutRoomForItIsDenied) {
  UseOwnSensor();
  EXPECT_EQ(Attempt({"--no-option-memory"}).at("result"), "OK");
  Enforce({Redirect()});
  const Report report = Attempt({"--no-option-memory"});
  EXPECT_EQ(report.at("result"), "EPERM");
  ExpectVerdict(report, v1::Event::DENIED);
  EXPECT_EQ(Counter(POSTERN_COUNTER_REDIRECT_NO_ROOM), 1u);
}

TEST_F(RedirectTest, DatagramsAreNotLookedAt) {
  Enforce({Redirect()});
  const Report report = Attempt({"--udp"});
  EXPECT_EQ(report.at("result"), "OK");
  EXPECT_EQ(report.at("peer"), kInternet4);
  EXPECT_EQ(Attempt({"--udp"}, "127.0.0.1").at("peer"), "127.0.0.1");
  ExpectVerdict(Attempt({}), v1::Event::REDIRECTED);
  EXPECT_EQ(ReadEvents().size(), 1u);
}

TEST_F(RedirectTest, PastItsLimitItIsDeniedAndRepeatsAreCounted) {
  policy::Rule rule = Redirect();
  rule.limit = policy::Limit{.count = 3, .per = absl::Hours(1), .text = "3/h"};
  Enforce({rule});
  std::vector<std::string> results;
  for (const Report& report : Attempts({"--count=5"})) results.push_back(report.at("result"));
  EXPECT_THAT(results, ElementsAre("OK", "OK", "OK", "EPERM", "EPERM"));
  ReadEventsUntil([this](const Events&) { return KernelTest::Attempts() == 5; });
  std::map<v1::Event::Verdict, uint64_t> attempts;
  for (const v1::Event& event : ReadEvents()) attempts[event.verdict()] += event.repeats() + 1;
  EXPECT_THAT(attempts,
              ElementsAre(Pair(v1::Event::REDIRECTED, 3), Pair(v1::Event::OVER_LIMIT, 2)));
}

TEST_F(RedirectTest, EitherUserMeetsIt) {
  Enforce({Redirect(), AllowAll()});
  EXPECT_EQ(RunToEnd(ConnectLine({network_, "--uid=33", "--euid=105"})).back().at("result"), "OK");
  EXPECT_EQ(servers_->Accept(), "127.0.0.1");
  EXPECT_EQ(RunToEnd(ConnectLine({network_, "--uid=105", "--euid=33"})).back().at("result"), "OK");
  EXPECT_EQ(servers_->Accept(), "127.0.0.1");
  EXPECT_EQ(RunToEnd(ConnectLine({network_, "--uid=105"})).back().at("result"), "OK");
  EXPECT_EQ(servers_->Accept(), kInternet4);
}

// It may be the mail server, whose mail would come back to it.
TEST_F(RedirectTest, RuleForEverybodyTakesNobodyWhoseStartWasNotSeen) {
  UseOwnSensor();
  const auto early = [this] {
    auto command =
        std::make_unique<Command>(ConnectLine({network_, kAsWwwData, "--peer", "--wait"}));
    command->ReadReport();
    return command;
  };
  const auto first = early(), second = early();
  Enforce({Redirect(std::nullopt)});
  ExpectVerdict(Attempt({}), v1::Event::REDIRECTED);
  first->WriteLine("");
  const Report denied = first->Finish().back();
  EXPECT_EQ(denied.at("result"), "EPERM");
  ExpectVerdict(denied, v1::Event::DENIED);
  Enforce({Redirect()});
  second->WriteLine("");
  const Report redirected = second->Finish().back();
  EXPECT_EQ(redirected.at("result"), "OK");
  ExpectVerdict(redirected, v1::Event::REDIRECTED);
}

TEST_F(RedirectTest, PeerIsShownOverARestartAndNoLongerWhenTakenDown) {
  UseOwnSensor();
  Enforce({Redirect()});
  const auto connected = [this] {
    auto command =
        std::make_unique<Command>(ConnectLine({network_, kAsWwwData, "--peer", "--hold"}));
    command->ReadReport();
    return command;
  };
  const auto peer_of = [](Command& command) {
    command.WriteLine("");
    return command.Finish().back().at("peer");
  };
  const auto away = connected(), restarted = connected(), taken_down = connected();
  StopSensor();
  EXPECT_EQ(peer_of(*away), kInternet4);
  Enforce({Redirect()});
  EXPECT_EQ(peer_of(*restarted), kInternet4);
  StopSensor();
  ASSERT_TRUE(sensor::Sensor::TakeDown(options_).ok());
  EXPECT_EQ(peer_of(*taken_down), "127.0.0.1");
}

TEST_F(RedirectTest, HooksThatShowThePeerAreReportedAndNoVerdictNeedsThem) {
  UseOwnSensor();
  Enforce({Redirect()});
  const auto states = [this] {
    std::map<std::string, sensor::HookState> by_name;
    for (sensor::HookState& hook : sensor_->Hooks()) by_name[hook.name] = std::move(hook);
    return by_name;
  };
  for (const char* name : {"getpeername4", "getpeername6"}) {
    ASSERT_EQ(states().count(name), 1u) << name;
    EXPECT_TRUE(states().at(name).attached) << states().at(name).reason;
    const int link =
        bpf_obj_get(absl::StrCat(bpffs(), "/v", POSTERN_ABI_VERSION, "/links/", name).c_str());
    ASSERT_GE(link, 0);
    ASSERT_EQ(bpf_link_detach(link), 0);
    close(link);
    EXPECT_FALSE(states().at(name).attached);
    EXPECT_THAT(states().at(name).reason, HasSubstr("redirected programs see where they got to"));
  }
  EXPECT_EQ(Attempt({}).at("peer"), "127.0.0.1");
  EXPECT_EQ(servers_->Accept(), "127.0.0.1");
  StopSensor();
  Enforce({Redirect()});
  EXPECT_TRUE(states().at("getpeername4").attached);
  EXPECT_EQ(Attempt({}).at("peer"), kInternet4);
}

TEST_F(RedirectTest, OldKernelsWithoutLoopsRedirectTheSame) {
  UseOwnSensor();
  options_.without_newer_helpers = true;
  Enforce({Redirect()});
  const Report report = Attempt({});
  EXPECT_EQ(report.at("peer"), kInternet4);
  EXPECT_EQ(servers_->Accept(), "127.0.0.1");
  ExpectVerdict(report, v1::Event::REDIRECTED);
}

}  // namespace
}  // namespace postern::testing
