// SPDX-License-Identifier: Apache-2.0
// `postern evidence`: a report on one host and time, for a delisting request or an
// abuse ticket.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cli/collector_client.h"
#include "cli/command.h"
#include "cli/evidence.h"
#include "cli/evidence_report.h"
#include "cli/query_options.h"
#include "common/status.h"
#include "common/time_text.h"

namespace postern::cli {
namespace {

// Records of attempts that are listed; all of those are held at once, to be put in order.
constexpr uint32_t kListed = 10'000;
// Changes of policy that are looked through for the one in force at the beginning.
constexpr uint32_t kMostPolicies = 1'000;

v1::Filter FilterOf(const Subject& subject) {
  v1::Filter filter;
  filter.add_hosts(subject.host);
  return filter;
}

// Also asks for the time that is yet to come: the clock of a host may be ahead.
absl::StatusOr<v1::Completeness> FindEvents(CollectorClient& client, const Subject& subject,
                                            Examination& examination) {
  v1::FindRequest request;
  *request.mutable_filter() = FilterOf(subject);
  request.mutable_filter()->set_since_ns(subject.since_ns);
  request.mutable_filter()->set_until_ns(subject.asked_until_ns);
  request.mutable_filter()->set_canaries(true);
  return client.Find(request, [&](const v1::Event& event) {
    examination.Add(event);
    return true;
  });
}

absl::StatusOr<PolicyBefore> FindPolicyBefore(CollectorClient& client, const Subject& subject) {
  v1::FindRequest request;
  *request.mutable_filter() = FilterOf(subject);
  request.mutable_filter()->set_until_ns(subject.since_ns);
  request.mutable_filter()->add_kinds(v1::Event::POLICY);
  request.set_limit(kMostPolicies);
  std::vector<v1::Event> policies;
  RETURN_IF_ERROR(client
                      .Find(request,
                            [&](const v1::Event& event) {
                              policies.push_back(event);
                              return true;
                            })
                      .status());
  return PolicyAfter(policies);
}

class EvidenceCommand : public Command {
 public:
  absl::StatusOr<ExitCode> Run(Console& console) override {
    const Zone zone = local_ ? Zone::kLocal : Zone::kUtc;
    Report report;
    report.made_ns = console.now();
    ASSIGN_OR_RETURN(report.subject, SubjectAt(report.made_ns, zone));
    ASSIGN_OR_RETURN(const uint32_t limit, Limit());
    ASSIGN_OR_RETURN(Endpoint endpoint, collector_.ToEndpoint());
    report.collector = endpoint.address;
    ASSIGN_OR_RETURN(const std::unique_ptr<CollectorClient> client,
                     CollectorClient::Create(std::move(endpoint)));
    Examination examination(limit == 0 ? std::numeric_limits<size_t>::max() : limit);
    ASSIGN_OR_RETURN(report.completeness, FindEvents(*client, report.subject, examination));
    report.evidence = std::move(examination).Finish();
    ASSIGN_OR_RETURN(report.policy, FindPolicyBefore(*client, report.subject));
    ASSIGN_OR_RETURN(const v1::HostsResponse hosts, client->Hosts());
    for (const v1::Host& host : hosts.hosts()) {
      if (host.host() == report.subject.host) report.host = host;
    }
    if (json_) {
      PrintReportAsJson(report, console);
    } else {
      PrintReport(report, zone, console);
    }
    return report.completeness.complete() ? ExitCode::kAnswered : ExitCode::kIncomplete;
  }

  CollectorOptions collector_;
  std::string host_;
  std::string at_;
  std::string window_ = "15m";
  std::string limit_;
  bool json_ = false;
  bool local_ = false;

 private:
  absl::StatusOr<uint32_t> Limit() const {
    if (app->get_option("--limit")->count() == 0) return kListed;
    return ParseLimit(limit_);
  }

  absl::StatusOr<Subject> SubjectAt(uint64_t now_ns, Zone zone) const {
    RETURN_IF_ERROR(CheckAsked("--host", host_));
    const absl::StatusOr<uint64_t> at = ParseTime(at_, now_ns);
    if (!at.ok()) return absl::InvalidArgumentError(absl::StrCat("--at: ", at.status().message()));
    const absl::StatusOr<uint64_t> window = ParseDuration(window_);
    if (!window.ok()) {
      return absl::InvalidArgumentError(absl::StrCat("--window: ", window.status().message()));
    }
    Subject subject;
    subject.host = host_;
    subject.since_ns = *at - std::min(*at, *window);
    // The far end belongs to it too.
    subject.asked_until_ns =
        std::min<uint64_t>(*at + *window + 1, std::numeric_limits<int64_t>::max());
    const SoFar so_far = SoFarOf(subject.since_ns, subject.asked_until_ns, now_ns, zone);
    subject.until_ns = so_far.until_ns;
    subject.text = absl::StrCat(FormatShortTime(subject.since_ns, zone), " to ",
                                FormatShortTime(*at + *window, zone), " ", ZoneName(zone, *at),
                                " (", FormatShortTime(*at, zone), " plus or minus ",
                                FormatDuration(*window), ")", so_far.text);
    return subject;
  }
};

}  // namespace

std::unique_ptr<Command> AddEvidenceCommand(CLI::App& root) {
  auto command = std::make_unique<EvidenceCommand>();
  CLI::App* app = command->app = root.add_subcommand("evidence", "A report on one host and time");
  app->add_option("--host", command->host_, "of this host")->option_text("HOST")->required();
  app->add_option("--at", command->at_, "around this time")->option_text("TIME")->required();
  app->add_option("--window", command->window_, "plus or minus, 15m if absent")
      ->option_text("DURATION");
  app->add_option("--limit", command->limit_,
                  "records of attempts listed at most, the newest;\n0: all. 10000 if absent")
      ->option_text("N");
  AddJsonOption(*app, command->json_);
  AddLocalOption(*app, command->local_);
  command->collector_.AddTo(*app);
  app->footer(
      "For a delisting request or an abuse ticket: who connected where, each verdict,\n"
      "the policy in force, what the host did send by Postfix, whether denials were\n"
      "proven to work, and whether anything is missing from the record. In the order in\n"
      "which things happened, also where somebody set the clock. What is not listed is\n"
      "counted all the same. TIME as for `postern query`; of a time that lies ahead the\n"
      "report tells up to now. Exit code 3: something is missing.\n\n"
      "Examples:\n"
      "  postern evidence --host web1 --at '2026-03-01 14:30' --window 15m\n"
      "  postern evidence --host web1 --at 2026-03-01T14:30Z --json > ticket.jsonl");
  return command;
}

}  // namespace postern::cli
