// SPDX-License-Identifier: Apache-2.0
#include "server/store/clickhouse/writer.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status.h"
#include "server/store/clickhouse/row_binary.h"
#include "server/store/clickhouse/sql.h"
#include "server/store/completeness.h"

namespace postern::server::clickhouse {
namespace {

// An insert of one block is stored whole or not at all. A server cuts inserts at
// 1,048,576 rows (max_insert_block_size) and 256 MiB (min_insert_block_size_bytes).
constexpr size_t kMaxInsertRows = 200'000;
constexpr size_t kMaxInsertBytes = size_t{48} << 20;

Connection::Options LongQuery() { return {.settings = "&max_query_size=16777216"}; }

}  // namespace

absl::Status Writer::Begin(const Touched& touched, int64_t now) {
  now_ = now;
  elsewhere_.clear();
  other_marks_.clear();
  changed_hosts_.clear();
  moved_.clear();
  inserts_.clear();
  rows_in_last_ = 0;
  absl::Status begun = KeepLease();
  if (begun.ok()) begun = LoadHosts(touched);
  if (begun.ok()) begun = ClaimEpochs(touched);
  if (begun.ok()) begun = LoadMarks(touched);
  return begun;
}

absl::Status Writer::KeepLease() {
  if (!lease_.Holds()) RETURN_IF_ERROR(lease_.Renew(connection_));
  if (collector_ != lease_.collector()) {
    collector_ = lease_.collector();
    for (const auto& [epoch, claimed] : claimed_) lost_[epoch] = claimed.host;
    claimed_.clear();
    released_.clear();
    hosts_.clear();
  }
  return days_.Know();
}

absl::Status Writer::LoadHosts(const Touched& touched) {
  for (const std::string& host : touched.afresh) hosts_.erase(host);
  std::set<std::string> wanted = touched.afresh;
  for (const std::string& host : touched.hosts) {
    if (!hosts_.contains(host)) wanted.insert(host);
  }
  for (const std::string& host : left_) {
    hosts_.erase(host);
    wanted.insert(host);
  }
  if (wanted.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(
      const std::string answer,
      connection_.Ask(absl::StrCat("SELECT ", kHostColumns, " FROM hosts FINAL WHERE host IN ",
                                   List(wanted), " FORMAT RowBinary"),
                      LongQuery()));
  for (RowReader row(answer); !row.AtEnd();) {
    HostRow host = ReadHost(row);
    hosts_[host.host] = host;
  }
  for (const std::string& left : std::exchange(left_, {})) Left(left);
  return absl::OkStatus();
}

absl::Status Writer::ClaimEpochs(const Touched& touched) {
  if (!released_.empty()) {
    RETURN_IF_ERROR(lease_.Release(connection_, {released_.begin(), released_.end()}));
    released_.clear();
  }
  std::vector<uint64_t> wanted;
  for (const auto& [epoch, host] : touched.epochs) {
    if (!claimed_.contains(epoch)) wanted.push_back(epoch);
  }
  absl::StatusOr<std::set<uint64_t>> elsewhere = lease_.Claim(connection_, wanted);
  if (!elsewhere.ok()) {
    // What was said of them may have been heard.
    released_.insert(wanted.begin(), wanted.end());
    return elsewhere.status();
  }
  elsewhere_ = *std::move(elsewhere);
  for (const uint64_t epoch : wanted) {
    if (!elsewhere_.contains(epoch)) claimed_[epoch] = {touched.epochs.at(epoch), std::nullopt};
  }
  return absl::OkStatus();
}

absl::Status Writer::LoadMarks(const Touched& touched) {
  std::map<uint64_t, std::string> wanted = touched.marks;
  for (const auto& [epoch, host] : touched.epochs) {
    const auto claimed = claimed_.find(epoch);
    if (claimed != claimed_.end() && !claimed->second.mark) wanted[epoch] = host;
  }
  if (wanted.empty()) return absl::OkStatus();
  std::set<std::string> hosts;
  std::vector<uint64_t> epochs;
  for (const auto& [epoch, host] : wanted) {
    hosts.insert(host);
    epochs.push_back(epoch);
  }
  std::map<uint64_t, uint64_t> marks;
  RETURN_IF_ERROR(
      ReadMarks(absl::StrCat("host IN ", List(hosts), " AND epoch IN ", List(epochs)), marks));
  // What an agent still has to send may lie under the name that its host had before.
  std::vector<uint64_t> unknown;
  for (const uint64_t epoch : epochs) {
    if (!marks.contains(epoch) && !touched.fresh.contains(epoch)) unknown.push_back(epoch);
  }
  if (!unknown.empty()) {
    RETURN_IF_ERROR(ReadMarks(absl::StrCat("epoch IN ", List(unknown)), marks));
  }
  ASSIGN_OR_RETURN(const std::string answer,
                   connection_.Ask(absl::StrCat("SELECT epoch, max(position) FROM marks WHERE "
                                                "epoch IN ",
                                                List(epochs), " GROUP BY epoch FORMAT RowBinary"),
                                   LongQuery()));
  for (RowReader row(answer); !row.AtEnd();) {
    uint64_t& mark = marks[row.Read<uint64_t>()];
    mark = std::max(mark, row.Read<uint64_t>());
  }
  for (const auto& [epoch, host] : wanted) {
    const auto claimed = claimed_.find(epoch);
    if (claimed != claimed_.end() && claimed->second.mark) continue;
    const auto found = marks.find(epoch);
    SetMark(epoch, found == marks.end() ? 0 : found->second);
  }
  return absl::OkStatus();
}

absl::Status Writer::ReadMarks(const std::string& condition, std::map<uint64_t, uint64_t>& marks) {
  // Earlier days' are in table `marks`.
  ASSIGN_OR_RETURN(
      const std::string answer,
      connection_.Ask(absl::StrCat("SELECT epoch, max(position) FROM events WHERE arrived > "
                                   "(SELECT max(day) FROM folded) AND ",
                                   condition, " GROUP BY epoch FORMAT RowBinary"),
                      LongQuery()));
  for (RowReader row(answer); !row.AtEnd();) {
    const auto epoch = row.Read<uint64_t>();
    marks[epoch] = row.Read<uint64_t>();
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<v1::EpochMark>> Writer::Welcome(const v1::Hello& hello) {
  std::vector<uint64_t> epochs = {hello.epoch()};
  for (const uint64_t epoch : hello.pending_epochs()) {
    if (epoch != hello.epoch()) epochs.push_back(epoch);
  }
  for (const uint64_t epoch : epochs) {
    if (elsewhere_.contains(epoch)) return AlreadyElsewhere(hello.host());
  }
  for (const uint64_t epoch : epochs) lost_.erase(epoch);
  const HostRow* known = Known(hello.host());
  if (known != nullptr && !known->agent.empty() && known->agent != hello.agent()) {
    // Another installation goes by the name of a known host: what the one before had
    // not sent is gone, and nobody knows when it ended.
    AddOwn(OwnGap(hello, v1::Gap::NOT_WATCHED, known->KnownUntil(), now_));
  }
  const v1::EpochMark& last = hello.last_acknowledged();
  if (last.position() > Mark(last.epoch())) {
    // Of a host that comes from elsewhere nobody here knows when it began.
    const int64_t since = known != nullptr ? known->KnownUntil() : 1;
    AddOwn(OwnGap(hello, v1::Gap::ELSEWHERE, since, now_));
    std::string row;
    EncodePlaceholder(hello.host(), last.epoch(), last.position(), now_, row);
    AddRow(row);
    SetMark(last.epoch(), last.position());
    moved_.insert(last.epoch());
  }
  HostRow& host = KnownOrNew(hello.host());
  host.agent = hello.agent();
  host.boot = hello.boot();
  host.version = hello.version();
  host.collector = collector_;
  host.connected = true;
  host.Take(hello.state(), now_);
  std::vector<v1::EpochMark> marks;
  for (const uint64_t epoch : epochs) {
    v1::EpochMark& mark = marks.emplace_back();
    mark.set_epoch(epoch);
    mark.set_position(Mark(epoch));
  }
  return marks;
}

absl::StatusOr<uint64_t> Writer::Append(const EncodedBatch& batch) {
  if (elsewhere_.contains(batch.epoch())) return AlreadyElsewhere(batch.host());
  if (lost_.contains(batch.epoch())) {
    return absl::UnavailableError(
        "the collector lost touch with ClickHouse, and what it knew of this stream with it; "
        "begin anew");
  }
  HostRow& host = KnownOrNew(batch.host());
  host.last_seen = now_;
  const uint64_t mark = Mark(batch.epoch());
  if (batch.first_position() > mark + 1) {
    return absl::FailedPreconditionError(
        absl::StrCat("batch of host ", batch.host(), " begins at position ", batch.first_position(),
                     ", but its epoch is committed up to ", mark, "; send from ", mark + 1));
  }
  host.oldest_pending = static_cast<int64_t>(std::min(
      batch.oldest_pending_ns(), static_cast<uint64_t>(std::numeric_limits<int64_t>::max())));
  const uint64_t last = batch.first_position() + batch.size() - 1;
  if (batch.size() == 0 || last <= mark) return mark;
  // One block for the batch: its last row is its mark.
  if (!inserts_.empty() && (rows_in_last_ + batch.size() > kMaxInsertRows ||
                            inserts_.back().size() + batch.bytes() > kMaxInsertBytes)) {
    inserts_.emplace_back();
    rows_in_last_ = 0;
  }
  for (size_t i = mark + 1 - batch.first_position(); i < batch.size(); ++i) {
    const absl::string_view row = batch.Row(i);
    if (row.empty()) continue;
    AddRow(row);
    host.first_event = std::min(host.first_event, batch.Time(i));
  }
  if (batch.Row(batch.size() - 1).empty()) {
    std::string row;
    EncodePlaceholder(batch.host(), batch.epoch(), last, now_, row);
    AddRow(row);
  }
  SetMark(batch.epoch(), last);
  moved_.insert(batch.epoch());
  return last;
}

void Writer::Heard(const std::string& name, const v1::AgentState& state) {
  if (Known(name) == nullptr) return;
  KnownOrNew(name).Take(state, now_);
}

void Writer::Left(const std::string& name) {
  std::erase_if(lost_, [&](const auto& lost) { return lost.second == name; });
  for (auto claimed = claimed_.begin(); claimed != claimed_.end();) {
    const auto current = claimed++;
    if (current->second.host != name) continue;
    released_.insert(current->first);
    claimed_.erase(current);
  }
  const HostRow* known = Known(name);
  // It may be another collector's by now.
  if (known == nullptr || known->collector != collector_ || !known->connected) return;
  KnownOrNew(name).connected = false;
}

void Writer::Record(const v1::Event& event) {
  if (Known(event.host()) != nullptr) AddOwn(event);
}

absl::Status Writer::Commit() {
  Connection::Options options;
  options.settings = features_.InsertSettings();
  absl::Status committed;
  for (const std::string& rows : inserts_) {
    committed = connection_.Insert(kEventColumns, rows, options);
    if (!committed.ok()) break;
  }
  if (committed.ok() && !changed_hosts_.empty()) {
    // Behind the events: nothing is said to have arrived that has not.
    std::string rows;
    for (const std::string& name : changed_hosts_) {
      HostRow& host = hosts_[name];
      host.changed = std::max(host.changed + 1, static_cast<uint64_t>(std::max<int64_t>(now_, 0)));
      PutHost(host, rows);
    }
    committed = connection_.Insert(absl::StrCat("hosts (", kHostColumns, ")"), rows, options);
  }
  if (!committed.ok()) {
    Forget();
    return committed;
  }
  if (!released_.empty() &&
      lease_.Release(connection_, {released_.begin(), released_.end()}).ok()) {
    released_.clear();
  }
  // Others may change the rows of those that are not connected here.
  absl::erase_if(hosts_, [&](const auto& host) {
    return !host.second.connected || host.second.collector != collector_;
  });
  return absl::OkStatus();
}

void Writer::Forget() {
  for (const uint64_t epoch : moved_) {
    const auto claimed = claimed_.find(epoch);
    if (claimed != claimed_.end()) claimed->second.mark.reset();
  }
  for (const std::string& name : changed_hosts_) {
    const auto host = hosts_.find(name);
    if (host != hosts_.end() && host->second.collector == collector_ && !host->second.connected) {
      left_.insert(name);
    }
  }
  hosts_.clear();
}

HostRow* Writer::Known(const std::string& host) {
  const auto known = hosts_.find(host);
  return known == hosts_.end() || known->second.forgotten ? nullptr : &known->second;
}

HostRow& Writer::KnownOrNew(const std::string& name) {
  changed_hosts_.insert(name);
  HostRow& host = hosts_[name];
  if (host.host.empty() || host.forgotten) {
    const uint64_t changed = host.changed;
    host = HostRow();
    host.host = name;
    host.changed = changed;
    host.first_seen = host.last_seen = now_;
  }
  return host;
}

uint64_t Writer::Mark(uint64_t epoch) const {
  if (const auto claimed = claimed_.find(epoch); claimed != claimed_.end()) {
    return claimed->second.mark.value_or(0);
  }
  const auto other = other_marks_.find(epoch);
  return other == other_marks_.end() ? 0 : other->second;
}

void Writer::SetMark(uint64_t epoch, uint64_t mark) {
  if (const auto claimed = claimed_.find(epoch); claimed != claimed_.end()) {
    claimed->second.mark = mark;
  } else {
    other_marks_[epoch] = mark;
  }
}

void Writer::AddRow(absl::string_view row) {
  if (inserts_.empty()) inserts_.emplace_back();
  PutNumber(days_.ArrivalOf(now_), inserts_.back());
  inserts_.back().append(row.data(), row.size());
  ++rows_in_last_;
}

void Writer::AddOwn(v1::Event event) {
  std::string row;
  const std::string host = event.host();
  EncodeRow(host, /*epoch=*/0, OwnPosition(event), event, row);
  AddRow(row);
}

absl::Status Writer::AlreadyElsewhere(const std::string& host) const {
  return absl::AlreadyExistsError(
      absl::StrCat("host ", host,
                   " speaks for an epoch that another collector's stream speaks "
                   "for: a cloned machine, or that stream is not yet seen as gone"));
}

}  // namespace postern::server::clickhouse
