// SPDX-License-Identifier: Apache-2.0
#include "server/ingest/event_check.h"

#include <cstdint>
#include <limits>

#include "absl/strings/str_cat.h"
#include "common/status.h"

namespace postern::server {
namespace {

constexpr uint64_t kLastTime = std::numeric_limits<int64_t>::max();
// More than a host makes in a year at 30,000 a second, and so few that millions of such
// events can be summed in 63 bits: SQLite's sum() fails where it would overflow, and with it
// the transaction of all agents.
constexpr uint64_t kMostAttempts = uint64_t{1} << 40;

bool IsTheCollectorsOwn(v1::Gap::Reason reason) {
  switch (reason) {
    case v1::Gap::EXPIRED:
    case v1::Gap::NOT_REPORTED:
    case v1::Gap::NOT_ARRIVED:
    case v1::Gap::STORE_DAMAGED:
    case v1::Gap::ELSEWHERE:
      return true;
    default:
      return false;
  }
}

absl::Status CheckCount(const char* field, uint64_t count) {
  if (count <= kMostAttempts) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("'", field, "' is more than any host attempts: ", count));
}

absl::Status CheckEvent(const v1::Event& event) {
  if (event.kind() == v1::Event::AGENT_SILENT) {
    return absl::InvalidArgumentError(
        "batch: that an agent is silent (AGENT_SILENT) the collector alone records");
  }
  if (IsTheCollectorsOwn(event.gap().reason())) {
    return absl::InvalidArgumentError(absl::StrCat("batch: a gap of reason ",
                                                   v1::Gap::Reason_Name(event.gap().reason()),
                                                   " the collector alone records"));
  }
  RETURN_IF_ERROR(CheckTime("time_ns", event.time_ns()));
  RETURN_IF_ERROR(CheckTime("last_time_ns", event.last_time_ns()));
  RETURN_IF_ERROR(CheckTime("from_ns", event.gap().from_ns()));
  RETURN_IF_ERROR(CheckTime("to_ns", event.gap().to_ns()));
  RETURN_IF_ERROR(CheckCount("repeats", event.repeats()));
  return CheckCount("count", event.gap().count());
}

}  // namespace

absl::Status CheckTime(const char* field, uint64_t time_ns) {
  if (time_ns <= kLastTime) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("'", field, "' lies after the year 2262: ", time_ns));
}

absl::Status CheckEvents(const google::protobuf::RepeatedPtrField<v1::Event>& events) {
  for (const v1::Event& event : events) RETURN_IF_ERROR(CheckEvent(event));
  return absl::OkStatus();
}

}  // namespace postern::server
