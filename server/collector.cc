// SPDX-License-Identifier: Apache-2.0
#include "server/collector.h"

#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/codegen/service_type.h>
#include <sys/stat.h>

#include <cerrno>
#include <chrono>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/status.h"
#include "server/ingest/ingest_service.h"
#include "server/query/query_service.h"
#include "server/run_directory.h"
#include "server/store/sqlite_store.h"

namespace postern::server {
namespace {

constexpr char kIngestSocket[] = "ingest.sock";
constexpr char kQuerySocket[] = "query.sock";
// Who may ask.
constexpr char kReaders[] = "postern";

// Questions answered at a time, each by a thread; more wait, far more are
// refused.
constexpr int kMaxQueryThreads = 16;

// Streams and questions end at once when they are cancelled; this is for the
// job of the store that a stream waits for.
constexpr std::chrono::seconds kGrace{1};

// The folder of the store's file, where only that is missing.
absl::Status MakeParent(const std::string& path) {
  const std::string parent = path.substr(0, path.rfind('/'));
  if (parent.empty() || mkdir(parent.c_str(), 0700) == 0 || errno == EEXIST) {
    return absl::OkStatus();
  }
  return ErrnoStatus(errno, absl::StrCat("cannot make the folder of 'store', ", parent));
}

absl::StatusOr<std::unique_ptr<grpc::Server>> Serve(grpc::ServerBuilder& builder,
                                                    grpc::Service* service,
                                                    const std::string& path) {
  builder.AddListeningPort(absl::StrCat("unix:", path), grpc::InsecureServerCredentials());
  builder.RegisterService(service);
  std::unique_ptr<grpc::Server> server;
  {
    PrivateUmask umask;
    server = builder.BuildAndStart();
  }
  if (server == nullptr) {
    return absl::UnavailableError(
        absl::StrCat(path, ": cannot listen here; is 'run_dir' writable?"));
  }
  return server;
}

absl::StatusOr<std::unique_ptr<grpc::Server>> ServeIngest(grpc::Service* service,
                                                          const std::string& path) {
  grpc::ServerBuilder builder;
  builder.SetMaxReceiveMessageSize(kMaxIngestMessageBytes);
  return Serve(builder, service, path);
}

absl::StatusOr<std::unique_ptr<grpc::Server>> ServeQuery(grpc::Service* service,
                                                         const std::string& path) {
  grpc::ServerBuilder builder;
  builder.SetMaxReceiveMessageSize(kMaxQueryMessageBytes);
  builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::NUM_CQS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::MAX_POLLERS, 1);
  grpc::ResourceQuota quota("postern-query");
  quota.SetMaxThreads(kMaxQueryThreads);
  builder.SetResourceQuota(quota);
  return Serve(builder, service, path);
}

}  // namespace

// Built from first to last; ~Collector names the order of the end.
struct Collector::Parts {
  explicit Parts(RunDirectory held) : run_directory(std::move(held)) {}

  RunDirectory run_directory;
  std::unique_ptr<SqliteStore> store;
  std::unique_ptr<grpc::Service> ingest;
  std::unique_ptr<grpc::Service> query;
  std::unique_ptr<grpc::Server> ingest_server;
  std::unique_ptr<grpc::Server> query_server;
};

absl::StatusOr<std::unique_ptr<Collector>> Collector::Start(const CollectorConfig& config) {
  ASSIGN_OR_RETURN(RunDirectory held, RunDirectory::Hold(config.run_dir));
  auto parts = std::make_unique<Parts>(std::move(held));
  RETURN_IF_ERROR(parts->run_directory.ClearSocket(kIngestSocket));
  RETURN_IF_ERROR(parts->run_directory.ClearSocket(kQuerySocket));

  RETURN_IF_ERROR(MakeParent(config.sqlite_path));
  SqliteStoreOptions options;
  options.path = config.sqlite_path;
  options.retention = config.retention;
  options.now = [] { return absl::GetCurrentTimeNanos(); };
  {
    PrivateUmask umask;
    ASSIGN_OR_RETURN(parts->store, SqliteStore::Open(std::move(options)));
  }
  parts->ingest = MakeIngestService(parts->store.get());
  parts->query = MakeQueryService(parts->store.get());

  std::unique_ptr<Collector> collector(new Collector(std::move(parts)));
  Parts& started = *collector->parts_;
  ASSIGN_OR_RETURN(started.query_server,
                   ServeQuery(started.query.get(), started.run_directory.PathOf(kQuerySocket)));
  RETURN_IF_ERROR(started.run_directory.ShareSocket(kQuerySocket, kReaders));
  ASSIGN_OR_RETURN(started.ingest_server,
                   ServeIngest(started.ingest.get(), started.run_directory.PathOf(kIngestSocket)));
  return collector;
}

Collector::Collector(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

Collector::~Collector() {
  const auto deadline = std::chrono::system_clock::now() + kGrace;
  // Also removes the sockets.
  if (parts_->ingest_server) parts_->ingest_server->Shutdown(deadline);
  if (parts_->query_server) parts_->query_server->Shutdown(deadline);
  parts_->ingest_server.reset();
  parts_->query_server.reset();
  parts_->query.reset();
  parts_->ingest.reset();
  parts_->store.reset();
}

}  // namespace postern::server
