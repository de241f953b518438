// SPDX-License-Identifier: Apache-2.0
#include "server/store/clickhouse/event_rows.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/store/event_parts.h"
#include "server/store/event_row.h"

namespace postern::server::clickhouse {
namespace {

// Where an event has none.
constexpr int64_t kNone = -1;

void PutKey(int span, const std::string& host, int64_t time, int64_t length, uint64_t epoch,
            uint64_t position, std::string& rows) {
  PutNumber(static_cast<uint8_t>(span), rows);
  PutText(host, rows);
  PutNumber(time, rows);
  PutNumber(length, rows);
  PutNumber(epoch, rows);
  PutNumber(position, rows);
}

}  // namespace

int64_t EncodeRow(const std::string& host, uint64_t epoch, uint64_t position, v1::Event& event,
                  std::string& rows) {
  const EventRow row = RowOf(event);
  PutKey(row.span, host, row.time, row.last_time - row.time, epoch, position, rows);
  PutNumber(static_cast<int32_t>(row.kind), rows);
  PutNumber(static_cast<int32_t>(row.verdict), rows);
  PutNumber(row.attempts, rows);
  PutNumber(row.uid.value_or(kNone), rows);
  PutNumber(row.port.value_or(kNone), rows);
  PutText(row.destination
              ? absl::string_view(reinterpret_cast<const char*>(row.destination->data()),
                                  row.destination->size())
              : "",
          rows);
  for (const std::string* text : {&event.user(), &event.exe(), &event.script(), &event.rule(),
                                  &event.unit(), &event.container(), &event.comm()}) {
    PutText(*text, rows);
  }
  EventParts parts;
  Split(event, row, parts);
  PutText(parts.traits, rows);
  PutText(parts.rest, rows);
  return row.time;
}

void EncodePlaceholder(const std::string& host, uint64_t epoch, uint64_t position, int64_t time,
                       std::string& rows) {
  PutKey(/*span=*/0, host, time, /*length=*/0, epoch, position, rows);
  PutNumber(static_cast<int32_t>(v1::Event::KIND_UNSPECIFIED), rows);
  PutNumber(int32_t{0}, rows);
  PutNumber(int64_t{0}, rows);
  PutNumber(kNone, rows);
  PutNumber(kNone, rows);
  for (int text = 0; text < 10; ++text) PutText("", rows);
}

uint64_t OwnPosition(const v1::Event& event) {
  const std::string what = absl::StrCat(static_cast<int>(event.kind()), " ",
                                        static_cast<int>(event.gap().reason()), " ", event.agent());
  // FNV-1a, 64 bits: the same in every collector.
  uint64_t hash = 0xcbf29ce484222325;
  for (const char byte : what) {
    hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001b3;
  }
  return hash;
}

bool ReadEvent(RowReader& row, EventPlace& place, v1::Event& event) {
  EventRow columns;
  place.host = std::string(row.Text());
  place.time = columns.time = row.Read<int64_t>();
  columns.last_time = columns.time + row.Read<int64_t>();
  place.epoch = row.Read<uint64_t>();
  place.position = row.Read<uint64_t>();
  columns.kind = row.Read<int32_t>();
  columns.attempts = row.Read<int64_t>();
  if (const auto port = row.Read<int64_t>(); port != kNone) columns.port = port;
  columns.destination = AddressFromBytes(row.Text());
  const absl::string_view traits = row.Text();
  const absl::string_view rest = row.Text();
  return row.ok() && Join(place.host, traits, rest, columns, event);
}

EncodedBatch::EncodedBatch(EventBatch batch)
    : host_(std::move(batch.host)),
      epoch_(batch.epoch),
      first_position_(batch.first_position),
      oldest_pending_ns_(batch.oldest_pending_ns) {
  uint64_t position = first_position_;
  for (v1::Event& event : batch.events) {
    int64_t time = 0;
    if (event.kind() != v1::Event::KIND_UNSPECIFIED) {
      time = EncodeRow(host_, epoch_, position, event, rows_);
    }
    ends_.push_back(rows_.size());
    times_.push_back(time);
    ++position;
  }
}

absl::string_view EncodedBatch::Row(size_t index) const {
  const size_t begin = index == 0 ? 0 : ends_[index - 1];
  return absl::string_view(rows_).substr(begin, ends_[index] - begin);
}

}  // namespace postern::server::clickhouse
