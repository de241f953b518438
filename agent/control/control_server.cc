// SPDX-License-Identifier: Apache-2.0
#include "agent/control/control_server.h"

#include <grpcpp/resource_quota.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <grpcpp/server_posix.h>

#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "agent/control/services.h"
#include "agent/control/socket_folder.h"
#include "common/log.h"
#include "common/status.h"
#include "common/unix_acceptor.h"
#include "common/unix_socket.h"

namespace postern::control {
namespace {

// Calls in flight get this long when the agent stops.
constexpr absl::Duration kGrace = absl::Milliseconds(500);
// Tails, and a few calls beside them.
constexpr int kThreads = ControlService::kTails + 8;
// More than what is answered at a time, and far fewer than the 1024 files that a
// process may open at least: those who read leave the agent its own.
constexpr UnixAcceptor::Limits kConnections = {.all = 64, .of_one_user = 32};

// A socket, and what answers there.
struct Served {
  std::string name;
  std::optional<gid_t> group;
  // The file goes last.
  std::unique_ptr<SocketFolder> folder;
  std::unique_ptr<grpc::Server> server;
  std::unique_ptr<UnixAcceptor> acceptor;
};

class UnixControlServer : public ControlServer {
 public:
  UnixControlServer(std::string run_dir, const Backends& backends)
      : run_dir_(std::move(run_dir)), control_(backends), admin_(backends) {}
  ~UnixControlServer() override {
    control_.Stop();
    admin_.Stop();
    for (const Served& served : served_) {
      served.acceptor->Stop();
      served.server->Shutdown(absl::ToChronoTime(absl::Now() + kGrace));
      served.server->Wait();
    }
  }

  absl::Status Serve(const std::string& name, bool admin, std::optional<gid_t> group) {
    grpc::ServerBuilder builder;
    builder.RegisterService(&control_);
    if (admin) builder.RegisterService(&admin_);
    builder.SetSyncServerOption(grpc::ServerBuilder::NUM_CQS, 1);
    builder.SetSyncServerOption(grpc::ServerBuilder::MIN_POLLERS, 1);
    builder.SetSyncServerOption(grpc::ServerBuilder::MAX_POLLERS, 1);
    builder.SetResourceQuota(grpc::ResourceQuota("postern-control").SetMaxThreads(kThreads));
    Served served;
    served.name = name;
    served.group = group;
    served.server = builder.BuildAndStart();
    if (served.server == nullptr) {
      return absl::UnavailableError(absl::StrCat("nothing can answer on ", run_dir_, "/", name));
    }
    served.acceptor = std::make_unique<UnixAcceptor>(
        absl::StrCat(run_dir_, "/", name), kConnections,
        [server = served.server.get()](UniqueFd connection) {
          grpc::AddInsecureChannelFromFd(server, connection.release());
        });
    RETURN_IF_ERROR(Open(served));
    served_.push_back(std::move(served));
    return absl::OkStatus();
  }

  absl::Status KeepSockets() override {
    for (Served& served : served_) {
      ASSIGN_OR_RETURN(const bool in_place, served.folder->InPlace(served.name));
      if (in_place) continue;
      RETURN_IF_ERROR(Open(served));
      LogWarning("%s/%s was removed, and is made again", run_dir_, served.name);
    }
    return absl::OkStatus();
  }

 private:
  absl::Status Open(Served& served) {
    ASSIGN_OR_RETURN(std::unique_ptr<SocketFolder> folder, SocketFolder::Create(run_dir_));
    ASSIGN_OR_RETURN(const std::string path, folder->PrivatePath(served.name));
    ASSIGN_OR_RETURN(UniqueFd listening, ListenOnUnixSocket(path));
    RETURN_IF_ERROR(folder->PutInPlace(served.name, served.group));
    folder->RemovePrivateFolder();
    served.acceptor->AcceptFrom(std::move(listening));
    served.folder = std::move(folder);
    return absl::OkStatus();
  }

  const std::string run_dir_;
  ControlService control_;
  AdminService admin_;
  std::vector<Served> served_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<ControlServer>> ControlServer::Create(const std::string& run_dir,
                                                                     const std::string& group,
                                                                     const Backends& backends) {
  auto server = std::make_unique<UnixControlServer>(run_dir, backends);
  RETURN_IF_ERROR(server->Serve("admin.sock", /*admin=*/true, std::nullopt));
  RETURN_IF_ERROR(server->Serve("read.sock", /*admin=*/false, GroupId(group)));
  return server;
}

}  // namespace postern::control
