// SPDX-License-Identifier: Apache-2.0
#include "server/collector.h"

#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/codegen/service_type.h>
#include <grpcpp/server_posix.h>

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/log.h"
#include "common/metrics/server.h"
#include "common/status.h"
#include "common/unix_acceptor.h"
#include "server/ingest/ingest_service.h"
#include "server/ingest/keepalive.h"
#include "server/ingest/silence_watch.h"
#include "server/metrics/figures.h"
#include "server/metrics/report.h"
#include "server/open_store.h"
#include "server/query/query_service.h"
#include "server/run_directory.h"
#include "server/store/event_store.h"
#include "server/tls_servers.h"

namespace postern::server {
namespace {

constexpr char kIngestSocket[] = "ingest.sock";
constexpr char kQuerySocket[] = "query.sock";
// Who may ask.
constexpr char kReaders[] = "postern";

// Questions answered at a time, each by a thread; more wait, far more are
// refused.
constexpr int kMaxQueryThreads = 16;

// Far fewer than the 1024 files that a process may open at least, so that those
// who ask leave the agents and the store theirs.
constexpr UnixAcceptor::Limits kQueryConnections = {.all = 64, .of_one_user = 32};
// Agents, and whoever else is root.
constexpr UnixAcceptor::Limits kIngestConnections = {.all = 512, .of_one_user = 512};

// Streams and questions end at once when they are cancelled; this is for the
// job of the store that a stream waits for.
constexpr std::chrono::seconds kGrace{1};

// What answers on a socket.
struct Served {
  std::unique_ptr<grpc::Server> server;
  std::unique_ptr<UnixAcceptor> acceptor;

  void Shutdown(std::chrono::system_clock::time_point deadline) {
    if (acceptor) acceptor->Stop();
    if (server) server->Shutdown(deadline);
  }
};

absl::StatusOr<Served> Serve(grpc::ServerBuilder& builder, grpc::Service* service,
                             const std::string& path, UnixAcceptor::Limits limits,
                             UniqueFd listening) {
  builder.RegisterService(service);
  Served served;
  served.server = builder.BuildAndStart();
  if (served.server == nullptr) {
    return absl::UnavailableError(absl::StrCat("nothing can answer on ", path));
  }
  served.acceptor = std::make_unique<UnixAcceptor>(
      path, limits, [server = served.server.get()](UniqueFd connection) {
        grpc::AddInsecureChannelFromFd(server, connection.release());
      });
  served.acceptor->AcceptFrom(std::move(listening));
  return served;
}

absl::StatusOr<Served> ServeIngest(grpc::Service* service, const std::string& path,
                                   UniqueFd listening) {
  grpc::ServerBuilder builder;
  builder.SetMaxReceiveMessageSize(kMaxIngestMessageBytes);
  KeepAlive(builder);
  return Serve(builder, service, path, kIngestConnections, std::move(listening));
}

absl::StatusOr<Served> ServeQuery(grpc::Service* service, const std::string& path,
                                  UniqueFd listening) {
  grpc::ServerBuilder builder;
  builder.SetMaxReceiveMessageSize(kMaxQueryMessageBytes);
  builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::NUM_CQS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::MAX_POLLERS, 1);
  grpc::ResourceQuota quota("postern-query");
  quota.SetMaxThreads(kMaxQueryThreads);
  builder.SetResourceQuota(quota);
  return Serve(builder, service, path, kQueryConnections, std::move(listening));
}

}  // namespace

// Built from first to last; ~Collector names the order of the end.
struct Collector::Parts {
  explicit Parts(RunDirectory held) : run_directory(std::move(held)) {}

  RunDirectory run_directory;
  const absl::Time began = absl::Now();
  Figures figures;
  std::unique_ptr<EventStore> store;
  EpochRegistry epochs;
  std::unique_ptr<SilenceWatch> silence_watch;
  std::unique_ptr<grpc::Service> ingest;
  std::unique_ptr<grpc::Service> query;
  Served on_ingest;
  Served on_query;
  std::unique_ptr<TlsServers> on_tcp;        // null: no TCP
  std::unique_ptr<metrics::Server> metrics;  // null: not served
};

absl::StatusOr<std::unique_ptr<Collector>> Collector::Start(const CollectorConfig& config) {
  ASSIGN_OR_RETURN(RunDirectory held, RunDirectory::Hold(config.run_dir));
  auto parts = std::make_unique<Parts>(std::move(held));
  ASSIGN_OR_RETURN(UniqueFd ingest_socket, parts->run_directory.Listen(kIngestSocket));
  ASSIGN_OR_RETURN(UniqueFd query_socket, parts->run_directory.Listen(kQuerySocket));

  ASSIGN_OR_RETURN(parts->store, OpenStore(config));
  parts->silence_watch =
      std::make_unique<SilenceWatch>(parts->store.get(), SilenceWatch::Options());
  parts->ingest =
      MakeIngestService(parts->store.get(), &parts->epochs, &parts->figures, /*guard=*/nullptr);
  parts->query = MakeQueryService(parts->store.get(), &parts->figures, /*peers=*/nullptr);

  std::unique_ptr<Collector> collector(new Collector(std::move(parts)));
  Parts& started = *collector->parts_;
  ASSIGN_OR_RETURN(started.on_query,
                   ServeQuery(started.query.get(), started.run_directory.PathOf(kQuerySocket),
                              std::move(query_socket)));
  RETURN_IF_ERROR(started.run_directory.ShareSocket(kQuerySocket, kReaders));
  ASSIGN_OR_RETURN(started.on_ingest,
                   ServeIngest(started.ingest.get(), started.run_directory.PathOf(kIngestSocket),
                               std::move(ingest_socket)));
  if (!config.trust.listen.empty()) {
    ASSIGN_OR_RETURN(started.on_tcp, TlsServers::Start(config.trust, started.store.get(),
                                                       &started.epochs, &started.figures));
  }
  if (!config.metrics.empty()) started.metrics = collector->ServeMetrics(config);
  return collector;
}

std::unique_ptr<metrics::Server> Collector::ServeMetrics(const CollectorConfig& config) {
  const auto report = [parts = parts_.get(),
                       path = config.clickhouse ? std::string() : config.sqlite_path,
                       trust = config.trust]() -> absl::StatusOr<std::vector<metrics::Family>> {
    return ReportMetrics({.figures = parts->figures,
                          .store = *parts->store,
                          .sqlite_path = path,
                          .trust = trust,
                          .started = parts->began});
  };
  absl::StatusOr<std::unique_ptr<metrics::Server>> server =
      metrics::Server::Start(config.metrics, report);
  if (server.ok()) {
    LogInfo("metrics on http://%s/metrics", config.metrics);
    return *std::move(server);
  }
  LogError("%s: events are taken all the same; free it or change 'metrics', and restart",
           server.status().message());
  return nullptr;
}

Collector::Collector(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

Collector::~Collector() {
  parts_->metrics.reset();
  const auto deadline = std::chrono::system_clock::now() + kGrace;
  if (parts_->on_tcp != nullptr) parts_->on_tcp->Shutdown(deadline);
  parts_->on_tcp.reset();
  parts_->on_ingest.Shutdown(deadline);
  parts_->on_query.Shutdown(deadline);
  parts_->on_ingest = {};
  parts_->on_query = {};
  parts_->query.reset();
  parts_->ingest.reset();
  parts_->silence_watch.reset();
  parts_->store.reset();
}

}  // namespace postern::server
