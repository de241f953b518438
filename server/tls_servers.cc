// SPDX-License-Identifier: Apache-2.0
#include "server/tls_servers.h"

#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/codegen/service_type.h>
#include <grpcpp/server_posix.h>

#include <optional>
#include <utility>

#include "common/status.h"
#include "server/ingest/ingest_service.h"
#include "server/ingest/keepalive.h"
#include "server/query/query_service.h"
#include "server/trust/door.h"
#include "server/trust/enrolment_service.h"

namespace postern::server {
namespace {

// Questions, enrolments and renewals answered at a time, each by a thread.
constexpr int kMaxQueryThreads = 16;
constexpr int kMaxEnrolmentThreads = 4;

// Of one connection at a time. An agent has one stream, and one at a time to renew
// its certificate; so it is with those who enrol.
constexpr int kAgentStreams = 4;
constexpr int kOperatorStreams = 4;
constexpr int kStrangerStreams = 1;

size_t MaxMessageBytes(std::optional<pki::Role> role) {
  if (!role.has_value()) return kMaxEnrolmentMessageBytes;
  return role == pki::Role::kAgent ? kMaxIngestMessageBytes : kMaxQueryMessageBytes;
}

void Limit(grpc::ServerBuilder& builder, std::optional<pki::Role> role, int streams) {
  builder.SetMaxReceiveMessageSize(static_cast<int>(MaxMessageBytes(role)));
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, streams);
  KeepAlive(builder);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
}

void LimitThreads(grpc::ServerBuilder& builder, const char* name, int threads) {
  builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::NUM_CQS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::MAX_POLLERS, 1);
  grpc::ResourceQuota quota(name);
  quota.SetMaxThreads(threads);
  builder.SetResourceQuota(quota);
}

}  // namespace

// Destroyed from the last to the first.
struct TlsServers::Parts {
  Peers peers;
  Conduct conduct;
  IngestGuard guard{.peers = peers, .conduct = conduct};
  std::unique_ptr<grpc::Service> ingest;
  std::unique_ptr<grpc::Service> query;
  // A service belongs to one server.
  std::unique_ptr<grpc::Service> renewal;
  std::unique_ptr<grpc::Service> joining;
  std::unique_ptr<grpc::Server> for_agents;
  std::unique_ptr<grpc::Server> for_operators;
  std::unique_ptr<grpc::Server> for_strangers;  // null with an own CA
  std::unique_ptr<Door> door;

  grpc::Server* ServerOf(std::optional<pki::Role> role) const {
    if (!role.has_value()) return for_strangers.get();
    return role == pki::Role::kAgent ? for_agents.get() : for_operators.get();
  }
};

absl::StatusOr<std::unique_ptr<TlsServers>> TlsServers::Start(const TrustConfig& config,
                                                              EventStore* store,
                                                              EpochRegistry* registry,
                                                              Figures* figures) {
  auto parts = std::make_unique<Parts>();
  parts->ingest = MakeIngestService(store, registry, figures, &parts->guard);
  parts->query = MakeQueryService(store, figures, &parts->peers);
  {
    grpc::ServerBuilder builder;
    Limit(builder, pki::Role::kAgent, kAgentStreams);
    LimitThreads(builder, "postern-agents", kMaxEnrolmentThreads);
    builder.RegisterService(parts->ingest.get());
    if (!config.own_ca()) {
      parts->renewal = MakeEnrolmentService(config.pki_folder, config.lifetime, &parts->peers);
      builder.RegisterService(parts->renewal.get());
    }
    parts->for_agents = builder.BuildAndStart();
  }
  {
    grpc::ServerBuilder builder;
    Limit(builder, pki::Role::kOperator, kOperatorStreams);
    LimitThreads(builder, "postern-operators", kMaxQueryThreads);
    builder.RegisterService(parts->query.get());
    parts->for_operators = builder.BuildAndStart();
  }
  if (!config.own_ca()) {
    grpc::ServerBuilder builder;
    Limit(builder, std::nullopt, kStrangerStreams);
    LimitThreads(builder, "postern-strangers", kMaxEnrolmentThreads);
    parts->joining = MakeEnrolmentService(config.pki_folder, config.lifetime, &parts->peers);
    builder.RegisterService(parts->joining.get());
    parts->for_strangers = builder.BuildAndStart();
  }
  if (parts->for_agents == nullptr || parts->for_operators == nullptr ||
      (!config.own_ca() && parts->for_strangers == nullptr)) {
    return absl::UnavailableError("nothing can answer to connections over TLS");
  }
  std::unique_ptr<TlsServers> servers(new TlsServers(std::move(parts)));
  Parts& started = *servers->parts_;
  Door::Inside inside;
  inside.take = [&started](std::optional<pki::Role> role, UniqueFd connection) {
    grpc::Server* server = started.ServerOf(role);
    if (server != nullptr) grpc::AddInsecureChannelFromFd(server, connection.release());
  };
  inside.max_message_bytes = MaxMessageBytes;
  ASSIGN_OR_RETURN(started.door,
                   Door::Open(config, &started.peers, &started.conduct, figures, inside));
  return servers;
}

TlsServers::TlsServers(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

TlsServers::~TlsServers() { Shutdown(std::chrono::system_clock::now()); }

void TlsServers::Shutdown(std::chrono::system_clock::time_point deadline) {
  parts_->door.reset();
  for (auto* server : {&parts_->for_agents, &parts_->for_operators, &parts_->for_strangers}) {
    if (*server != nullptr) (*server)->Shutdown(deadline);
    server->reset();
  }
}

}  // namespace postern::server
