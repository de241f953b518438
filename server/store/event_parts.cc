// SPDX-License-Identifier: Apache-2.0
#include "server/store/event_parts.h"

#include <utility>

#include "common/address.h"

namespace postern::server {
namespace {

// Columns hold them, unless they were cut to what a column holds.
void DropWhatTheRowHas(const EventRow& row, v1::Event& rest) {
  if (rest.kind() != v1::Event::GAP) {
    if (rest.time_ns() == static_cast<uint64_t>(row.time)) rest.clear_time_ns();
    const bool spans = row.last_time != row.time;
    if (spans && rest.last_time_ns() == static_cast<uint64_t>(row.last_time)) {
      rest.clear_last_time_ns();
    }
    if (rest.repeats() + 1 == static_cast<uint64_t>(row.attempts)) rest.clear_repeats();
  }
  if (row.port && rest.port() == static_cast<uint64_t>(*row.port)) rest.clear_port();
  if (row.destination && FormatAddress(*row.destination) == rest.destination()) {
    rest.clear_destination();
  }
}

void AddWhatTheRowHas(const EventRow& row, v1::Event& event) {
  if (event.kind() != v1::Event::GAP) {
    if (event.time_ns() == 0) event.set_time_ns(static_cast<uint64_t>(row.time));
    if (row.last_time != row.time && !event.has_last_time_ns()) {
      event.set_last_time_ns(static_cast<uint64_t>(row.last_time));
    }
    if (event.repeats() == 0) event.set_repeats(static_cast<uint64_t>(row.attempts - 1));
  }
  if (row.port && event.port() == 0) event.set_port(static_cast<uint32_t>(*row.port));
  if (row.destination && event.destination().empty()) {
    event.set_destination(FormatAddress(*row.destination));
  }
}

bool Parse(absl::string_view bytes, v1::Event& event) {
  return event.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
}

}  // namespace

void Split(v1::Event& event, const EventRow& row, EventParts& parts) {
  v1::Event rest;
  rest.set_kind(event.kind());
  rest.set_time_ns(event.time_ns());
  event.clear_time_ns();
  if (event.has_last_time_ns()) rest.set_last_time_ns(event.last_time_ns());
  event.clear_last_time_ns();
  rest.set_repeats(event.repeats());
  event.clear_repeats();
  if (event.has_boot_time_ns()) rest.set_boot_time_ns(event.boot_time_ns());
  event.clear_boot_time_ns();
  rest.set_seq(event.seq());
  event.clear_seq();
  if (event.has_pid()) rest.set_pid(event.pid());
  event.clear_pid();
  if (event.has_tid()) rest.set_tid(event.tid());
  event.clear_tid();
  if (event.has_ppid()) rest.set_ppid(event.ppid());
  event.clear_ppid();
  if (event.has_exec_time_ns()) rest.set_exec_time_ns(event.exec_time_ns());
  event.clear_exec_time_ns();
  if (event.has_socket()) rest.set_socket(event.socket());
  event.clear_socket();
  rest.set_port(event.port());
  event.clear_port();
  if (event.has_gap()) rest.mutable_gap()->Swap(event.mutable_gap());
  event.clear_gap();
  rest.mutable_destination()->swap(*event.mutable_destination());
  rest.mutable_message()->swap(*event.mutable_message());
  for (v1::Ancestor& ancestor : *event.mutable_ancestors()) {
    rest.add_ancestors()->set_pid(ancestor.pid());
    ancestor.clear_pid();
  }
  event.clear_host();
  DropWhatTheRowHas(row, rest);
  rest.clear_kind();
  event.SerializeToString(&parts.traits);
  rest.SerializeToString(&parts.rest);
}

bool Join(absl::string_view host, absl::string_view traits, absl::string_view rest,
          const EventRow& row, v1::Event& event) {
  if (!Parse(traits, event)) return false;
  v1::Event own;
  if (!Parse(rest, own)) return false;
  if (own.ancestors_size() != event.ancestors_size()) return false;
  for (int i = 0; i < own.ancestors_size(); ++i) {
    event.mutable_ancestors(i)->set_pid(own.ancestors(i).pid());
  }
  own.clear_ancestors();
  event.MergeFrom(own);
  event.set_host(std::string(host));
  AddWhatTheRowHas(row, event);
  return true;
}

}  // namespace postern::server
