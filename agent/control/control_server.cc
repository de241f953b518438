// SPDX-License-Identifier: Apache-2.0
#include "agent/control/control_server.h"

#include <grpcpp/resource_quota.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "agent/control/services.h"
#include "agent/control/socket_folder.h"
#include "common/status.h"

namespace postern::control {
namespace {

// Calls in flight get this long when the agent stops.
constexpr absl::Duration kGrace = absl::Milliseconds(500);
// Tails, and a few calls beside them.
constexpr int kThreads = ControlService::kTails + 8;

class UnixControlServer : public ControlServer {
 public:
  UnixControlServer(std::unique_ptr<SocketFolder> sockets, const Backends& backends)
      : sockets_(std::move(sockets)), control_(backends), admin_(backends) {}
  ~UnixControlServer() override {
    control_.Stop();
    const auto deadline = absl::ToChronoTime(absl::Now() + kGrace);
    for (const auto& server : servers_) server->Shutdown(deadline);
    for (const auto& server : servers_) server->Wait();
  }

  absl::Status Serve(const std::string& name, bool admin, std::optional<gid_t> group) {
    ASSIGN_OR_RETURN(const std::string path, sockets_->PrivatePath(name));
    grpc::ServerBuilder builder;
    builder.AddListeningPort(absl::StrCat("unix:", path), grpc::InsecureServerCredentials());
    builder.RegisterService(&control_);
    if (admin) builder.RegisterService(&admin_);
    builder.SetSyncServerOption(grpc::ServerBuilder::NUM_CQS, 1);
    builder.SetSyncServerOption(grpc::ServerBuilder::MIN_POLLERS, 1);
    builder.SetSyncServerOption(grpc::ServerBuilder::MAX_POLLERS, 1);
    builder.SetResourceQuota(grpc::ResourceQuota("postern-control").SetMaxThreads(kThreads));
    std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
    if (server == nullptr) {
      return absl::UnavailableError(absl::StrCat("cannot listen on ", path));
    }
    servers_.push_back(std::move(server));
    return sockets_->PutInPlace(name, group);
  }
  void Seal() { sockets_->RemovePrivateFolder(); }

 private:
  // In this order they are made; the sockets go last.
  std::unique_ptr<SocketFolder> sockets_;
  ControlService control_;
  AdminService admin_;
  std::vector<std::unique_ptr<grpc::Server>> servers_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<ControlServer>> ControlServer::Create(const std::string& run_dir,
                                                                     const std::string& group,
                                                                     const Backends& backends) {
  ASSIGN_OR_RETURN(std::unique_ptr<SocketFolder> sockets, SocketFolder::Create(run_dir));
  auto server = std::make_unique<UnixControlServer>(std::move(sockets), backends);
  RETURN_IF_ERROR(server->Serve("admin.sock", /*admin=*/true, std::nullopt));
  RETURN_IF_ERROR(server->Serve("read.sock", /*admin=*/false, GroupId(group)));
  server->Seal();
  return server;
}

}  // namespace postern::control
