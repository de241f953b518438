// SPDX-License-Identifier: Apache-2.0
#include "server/store/clickhouse/lease.h"

#include <limits>
#include <memory>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/log.h"
#include "common/status.h"
#include "common/steady_clock.h"
#include "server/store/clickhouse/row_binary.h"
#include "server/store/clickhouse/sql.h"

namespace postern::server::clickhouse {
namespace {

// Beside the lease there is time for one more try.
constexpr absl::Duration kPatience = absl::Seconds(3);

uint64_t RandomNumber() {
  std::random_device random;
  return (uint64_t{random()} << 32 | random()) | 1;
}

Connection::Options Soon() { return {.patience = kPatience}; }

}  // namespace

std::string LivingCollectors() {
  return absl::StrCat("SELECT collector FROM collectors WHERE heard > now() - ", kLeaseSeconds,
                      " GROUP BY collector HAVING max(ended) = 0");
}

Lease::Lease(const ServerAddress& address, std::string name)
    : address_(address),
      name_(std::move(name)),
      changed_(static_cast<uint64_t>(absl::GetCurrentTimeNanos())) {
  thread_ = std::thread([this] { Run(); });
}

Lease::~Lease() {
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
  }
  mutex_.NotifyAll();
  thread_.join();
  if (!Holds()) return;
  absl::StatusOr<std::unique_ptr<Connection>> connection = Connection::Create(address_);
  if (!connection.ok()) return;
  // Whoever cannot be told finds it out by the lease.
  (void)(*connection)
      ->Run(
          absl::StrCat("INSERT INTO collectors SELECT toUInt64(", collector(), "), ", Quoted(name_),
                       ", toUInt64(", std::numeric_limits<uint64_t>::max(), "), now(), 1"),
          Soon());
}

bool Lease::Holds() const {
  const int64_t renewed = renewed_.load();
  return renewed != 0 && SteadyNow() < absl::FromUnixNanos(renewed) + kTrustedLease;
}

absl::Status Lease::Begin(Connection& connection) {
  collector_ = RandomNumber();
  beat_ = 0;
  // An earlier start of the same name cannot live beside this one.
  return connection.Run(
      absl::StrCat("INSERT INTO collectors SELECT collector, name, toUInt64(",
                   std::numeric_limits<uint64_t>::max(),
                   "), now(), 1 FROM (SELECT collector, name "
                   "FROM collectors WHERE name = ",
                   Quoted(name_), " GROUP BY collector, name HAVING max(ended) = 0)"),
      Soon());
}

absl::Status Lease::Renew(Connection& connection) {
  MutexLock lock(&renewing_);
  const absl::Time began = SteadyNow();
  if (!Holds()) {
    RETURN_IF_ERROR(Begin(connection));
  } else {
    ASSIGN_OR_RETURN(const std::string answer,
                     connection.Ask(absl::StrCat("SELECT toUInt8(max(ended)) FROM collectors "
                                                 "WHERE collector = ",
                                                 collector(), " FORMAT RowBinary"),
                                    Soon()));
    if (RowReader(answer).Read<uint8_t>() != 0) {
      LogError("another postern-collector has begun as %s: give each its own machine or run_dir",
               name_);
      renewed_ = 0;
      RETURN_IF_ERROR(Begin(connection));
    }
  }
  RETURN_IF_ERROR(
      connection.Run(absl::StrCat("INSERT INTO collectors SELECT toUInt64(", collector(), "), ",
                                  Quoted(name_), ", toUInt64(", ++beat_, "), now(), 0"),
                     Soon()));
  renewed_ = absl::ToUnixNanos(began);
  {
    MutexLock begun(&mutex_);
    begun_ = true;
  }
  mutex_.NotifyAll();
  return absl::OkStatus();
}

void Lease::Run() {
  std::unique_ptr<Connection> connection;
  while (true) {
    {
      MutexLock lock(&mutex_);
      const auto stopping = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return stopping_; };
      if (mutex_.AwaitFor(absl::ToChronoNanoseconds(kRenewEvery), stopping)) return;
      if (!begun_) continue;
    }
    // What was lost is begun anew by whoever has something to store.
    if (!Holds()) continue;
    if (connection == nullptr) {
      absl::StatusOr<std::unique_ptr<Connection>> made = Connection::Create(address_);
      if (made.ok()) connection = *std::move(made);
    }
    // The writing thread tells what is wrong with the server.
    if (connection != nullptr) (void)Renew(*connection);
  }
}

absl::StatusOr<std::set<uint64_t>> Lease::Claim(Connection& connection,
                                                const std::vector<uint64_t>& epochs) {
  std::set<uint64_t> taken;
  if (epochs.empty()) return taken;
  // First said, then looked: of two that claim at the same time at least one sees the
  // other.
  RETURN_IF_ERROR(Write(connection, epochs, /*held=*/true));
  ASSIGN_OR_RETURN(
      const std::string answer,
      connection.Ask(absl::StrCat("SELECT DISTINCT epoch FROM (SELECT epoch, collector FROM "
                                  "claims WHERE epoch IN ",
                                  List(epochs), " AND collector != ", collector(),
                                  " AND collector IN (", LivingCollectors(),
                                  ") GROUP BY epoch, collector HAVING argMax(held, changed) = 1) "
                                  "FORMAT RowBinary"),
                     {.settings = "&max_query_size=16777216"}));
  for (RowReader row(answer); !row.AtEnd();) taken.insert(row.Read<uint64_t>());
  RETURN_IF_ERROR(Release(connection, {taken.begin(), taken.end()}));
  return taken;
}

absl::Status Lease::Release(Connection& connection, const std::vector<uint64_t>& epochs) {
  return epochs.empty() ? absl::OkStatus() : Write(connection, epochs, /*held=*/false);
}

absl::Status Lease::Write(Connection& connection, const std::vector<uint64_t>& epochs, bool held) {
  std::string rows;
  for (const uint64_t epoch : epochs) {
    PutNumber(epoch, rows);
    PutNumber(collector(), rows);
    PutNumber(++changed_, rows);
    PutNumber(static_cast<uint8_t>(held), rows);
  }
  return connection.Insert("claims (epoch, collector, changed, held)", rows, {});
}

}  // namespace postern::server::clickhouse
