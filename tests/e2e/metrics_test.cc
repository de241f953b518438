// SPDX-License-Identifier: Apache-2.0
// What both daemons tell Prometheus, read as it does, and compared with what is built on
// it: the alerts, the dashboard and the manual.
#include <gmock/gmock.h>

#include <cctype>
#include <set>

#include "absl/strings/str_split.h"
#include "tests/e2e/tls_link.h"
#include "tests/support/free_port.h"
#include "tests/support/http.h"

namespace postern::lab {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

using Names = std::set<std::string>;

// Words that begin like a metric of ours.
Names NamesIn(const std::string& text) {
  Names names;
  for (const char* daemon : {"postern_agent_", "postern_collector_"}) {
    for (size_t at = text.find(daemon); at != std::string::npos; at = text.find(daemon, at + 1)) {
      size_t end = at;
      while (end < text.size() &&
             (isalnum(static_cast<unsigned char>(text[end])) != 0 || text[end] == '_')) {
        ++end;
      }
      names.insert(text.substr(at, end - at));
    }
  }
  return names;
}

Names Without(const Names& names, const Names& others) {
  Names rest;
  for (const std::string& name : names) {
    if (others.count(name) == 0) rest.insert(name);
  }
  return rest;
}

class Metrics : public TlsLink {
 protected:
  Metrics() {
    agent_extra_ = "metrics: " + agent_at_ + "\n";
    collector_extra_ = "metrics: " + collector_at_ + "\n";
  }
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(TlsLink::SetUp());
    ASSERT_NO_FATAL_FAILURE(tls_->Enrol());
  }

  static std::string Scrape(const std::string& address) {
    const support::Finished curl =
        support::RunToEnd({"curl", "--silent", "--show-error", "--fail", "--max-time", "20",
                           absl::StrCat("http://", address, "/metrics")});
    EXPECT_EQ(curl.exit_code, 0) << curl.error;
    return curl.output;
  }
  // Until `wanted` is there: what was asked for is told again for some seconds.
  static std::string Await(const std::string& address, const std::string& wanted) {
    std::string text;
    EXPECT_TRUE(Eventually([&] {
      text = Scrape(address);
      return absl::StrContains(text, wanted);
    })) << wanted
        << " is not in\n"
        << text;
    return text;
  }
  // By both, once all that they know is known.
  std::string ScrapeBoth() {
    const Attempt denied = Rogue();
    postern().AwaitOne(denied.pid);
    Await(agent_at_, "\npostern_agent_canary_denied_timestamp_seconds ");
    Await(agent_at_, "\npostern_agent_certificate_expiry_timestamp_seconds ");
    Await(agent_at_, "\npostern_agent_uplink_acknowledged_timestamp_seconds ");
    return Await(agent_at_, "\npostern_agent_uplink_connected 1\n") +
           Await(collector_at_, "\npostern_collector_agents{state=\"connected\"} 1\n");
  }
  static Names Exported(const std::string& scraped) {
    Names names;
    for (const auto line : absl::StrSplit(scraped, '\n')) {
      const std::vector<std::string> words = absl::StrSplit(line, ' ');
      if (words.size() == 4 && words[1] == "TYPE") names.insert(words[2]);
    }
    return names;
  }
  // With what Prometheus adds to the name of a histogram.
  static Names Queryable(const std::string& scraped) {
    Names names = Exported(scraped);
    for (const std::string& name : Exported(scraped)) {
      if (!absl::StrContains(scraped, absl::StrCat("# TYPE ", name, " histogram\n"))) continue;
      for (const char* part : {"_bucket", "_sum", "_count"}) names.insert(name + part);
    }
    return names;
  }
  static std::string Source(const std::string& path) {
    return ReadFile(std::string(POSTERN_SOURCES) + "/" + path);
  }

  const std::string agent_at_ = "127.0.0.1:" + support::FreePort();
  const std::string collector_at_ = "127.0.0.1:" + support::FreePort();
};

TEST_F(Metrics, WhatAlertsDashboardAndManualNameIsExported) {
  std::string scraped = ScrapeBoth();
  // What waits for the collector is there once there is something.
  EXPECT_EQ(postern().StopCollector(), 0);
  Rogue();
  scraped += Await(agent_at_, "\npostern_agent_spool_oldest_event_timestamp_seconds ");
  const Names queryable = Queryable(scraped);
  EXPECT_GT(queryable.size(), 40u);
  for (const char* file :
       {"packaging/prometheus/postern.rules.yaml", "packaging/grafana/postern.json"}) {
    const Names used = NamesIn(Source(file));
    EXPECT_GT(used.size(), 15u) << file;
    EXPECT_THAT(Without(used, queryable), IsEmpty()) << file;
  }
  // The manual has a row for each, and none that is not there.
  const Names documented = NamesIn(Source("docs/operations.md"));
  EXPECT_THAT(Without(documented, Exported(scraped)), IsEmpty());
  EXPECT_THAT(Without(Exported(scraped), documented), IsEmpty());
}

TEST_F(Metrics, FollowPrometheusConventions) {
  const std::unique_ptr<Process> promtool =
      Process::Start({"promtool", "check", "metrics"}, {.input = true});
  EXPECT_TRUE(promtool->SendInput(ScrapeBoth()));
  promtool->CloseInput();
  EXPECT_EQ(promtool->Wait(), 0) << promtool->Output() << promtool->Error();
  EXPECT_EQ(promtool->Output() + promtool->Error(), "");
}

TEST_F(Metrics, SayWhatStatusAndTheRecordSay) {
  Rogue();
  ScrapeBoth();
  const nlohmann::json counters = postern().Status()["counters"];
  const std::string agent =
      Await(agent_at_, absl::StrCat("\npostern_agent_attempts_total{verdict=\"would_deny\"} ",
                                    counters.value("would_deny", 0), "\n"));
  EXPECT_GE(counters.value("would_deny", 0), 2) << counters;
  EXPECT_THAT(agent, HasSubstr("\npostern_agent_enforcing 0\n"));
  EXPECT_THAT(agent, HasSubstr("rule=\"default\",action=\"deny\"}"));
  EXPECT_EQ(postern().Ask({"mode", "enforce"}).exit_code, 0);
  Await(agent_at_, "\npostern_agent_enforcing 1\n");
  Await(collector_at_, "\npostern_collector_agents_enforcing 1\n");
  tls_->Pki({"revoke", "lab.example.net"});
  Await(agent_at_, "\npostern_agent_uplink_connected 0\n");
  Await(agent_at_, "\npostern_agent_healthy 0\n");
  Await(collector_at_, "\npostern_collector_agents_revoked 1\n");
  Rogue();
  Await(agent_at_, "\npostern_agent_spool_oldest_event_timestamp_seconds ");
}

TEST_F(Metrics, NameNobody) {
  const std::string scraped = ScrapeBoth();
  const Attempt seen = Rogue();
  const nlohmann::json event = postern().AwaitOne(seen.pid);
  for (const std::string& word :
       {std::string("lab.example.net"), std::string("www-data"), event.value("exe", "/"),
        event.value("destination", "?"), root()}) {
    EXPECT_THAT(scraped, Not(HasSubstr(word)));
  }
}

TEST_F(Metrics, WhoHoldsConnectionsHoldsUpNothingElse) {
  ScrapeBoth();
  std::vector<UniqueFd> held;
  for (int i = 0; i < 8; ++i) {
    for (const std::string& address : {agent_at_, collector_at_}) {
      held.push_back(support::ConnectTo(address));
      support::Send(held.back(), "GET /metrics HTTP/1.1\r\nX: ");
    }
  }
  postern().AwaitOne(Rogue().pid);
  EXPECT_EQ(postern().Ask({"mode", "enforce"}).exit_code, 0);
  EXPECT_EQ(Rogue().result, "EPERM");
  // Once the held ones are cut off.
  Await(agent_at_, "\npostern_agent_enforcing 1\n");
  EXPECT_EQ(postern().StopAgent(), 0);
  EXPECT_EQ(postern().StopCollector(), 0);
}

TEST_F(Metrics, AnAddressThatAnotherHasStopsNeither) {
  EXPECT_EQ(postern().StopAgent(), 0);
  EXPECT_EQ(postern().StopCollector(), 0);
  const std::unique_ptr<Process> others[] = {
      Process::Start({"python3", "-m", "http.server", "--bind", "127.0.0.1",
                      agent_at_.substr(agent_at_.find(':') + 1)}),
      Process::Start({"python3", "-m", "http.server", "--bind", "127.0.0.1",
                      collector_at_.substr(collector_at_.find(':') + 1)})};
  EXPECT_TRUE(Eventually([&] {
    return support::ConnectTo(agent_at_).valid() && support::ConnectTo(collector_at_).valid();
  }));
  ASSERT_NO_FATAL_FAILURE(postern().StartCollector());
  ASSERT_NO_FATAL_FAILURE(postern().StartAgent());
  postern().AwaitOne(Rogue().pid);
  EXPECT_TRUE(HasProblem(absl::StrCat("no metrics on ", agent_at_)));
  EXPECT_THAT(
      postern().collector_log(),
      HasSubstr(absl::StrCat("no metrics on ", collector_at_, ": another program has that port")));
}

}  // namespace
}  // namespace postern::lab
