// SPDX-License-Identifier: Apache-2.0
#include "agent/control/control_server.h"

#include <grpcpp/resource_quota.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <algorithm>
#include <chrono>
#include <future>
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

namespace postern::control {
namespace {

// Calls in flight get this long when the agent stops.
constexpr absl::Duration kGrace = absl::Milliseconds(500);
// Tails, and a few calls beside them.
constexpr int kThreads = ControlService::kTails + 8;

// A socket, and what answers there.
struct Served {
  std::string name;
  bool admin = false;
  std::optional<gid_t> group;
  // The file goes last.
  std::unique_ptr<SocketFolder> folder;
  std::unique_ptr<grpc::Server> server;
};

void ShutDown(grpc::Server& server) {
  server.Shutdown(absl::ToChronoTime(absl::Now() + kGrace));
  server.Wait();
}

class UnixControlServer : public ControlServer {
 public:
  UnixControlServer(std::string run_dir, const Backends& backends)
      : run_dir_(std::move(run_dir)), control_(backends), admin_(backends) {}
  ~UnixControlServer() override {
    control_.Stop();
    for (const Served& served : served_) ShutDown(*served.server);
  }

  absl::Status Serve(const std::string& name, bool admin, std::optional<gid_t> group) {
    Served served;
    served.name = name;
    served.admin = admin;
    served.group = group;
    RETURN_IF_ERROR(Open(served));
    served_.push_back(std::move(served));
    return absl::OkStatus();
  }

  absl::Status KeepSockets() override {
    const auto done = [](const std::future<void>& ending) {
      return ending.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
    };
    ending_.erase(std::remove_if(ending_.begin(), ending_.end(), done), ending_.end());
    for (Served& served : served_) {
      ASSIGN_OR_RETURN(const bool in_place, served.folder->InPlace(served.name));
      if (in_place) continue;
      std::unique_ptr<grpc::Server> before = std::move(served.server);
      const absl::Status opened = Open(served);
      if (!opened.ok()) {
        served.server = std::move(before);
        return opened;
      }
      LogWarning("%s/%s was removed, and is made again", run_dir_, served.name);
      // Its calls may wait for the caller of this.
      ending_.push_back(
          std::async(std::launch::async, [server = std::move(before)] { ShutDown(*server); }));
    }
    return absl::OkStatus();
  }

 private:
  absl::Status Open(Served& served) {
    ASSIGN_OR_RETURN(std::unique_ptr<SocketFolder> folder, SocketFolder::Create(run_dir_));
    ASSIGN_OR_RETURN(const std::string path, folder->PrivatePath(served.name));
    grpc::ServerBuilder builder;
    builder.AddListeningPort(absl::StrCat("unix:", path), grpc::InsecureServerCredentials());
    builder.RegisterService(&control_);
    if (served.admin) builder.RegisterService(&admin_);
    builder.SetSyncServerOption(grpc::ServerBuilder::NUM_CQS, 1);
    builder.SetSyncServerOption(grpc::ServerBuilder::MIN_POLLERS, 1);
    builder.SetSyncServerOption(grpc::ServerBuilder::MAX_POLLERS, 1);
    builder.SetResourceQuota(grpc::ResourceQuota("postern-control").SetMaxThreads(kThreads));
    std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
    if (server == nullptr) {
      return absl::UnavailableError(absl::StrCat("cannot listen on ", path));
    }
    RETURN_IF_ERROR(folder->PutInPlace(served.name, served.group));
    folder->RemovePrivateFolder();
    served.server = std::move(server);
    served.folder = std::move(folder);
    return absl::OkStatus();
  }

  const std::string run_dir_;
  ControlService control_;
  AdminService admin_;
  std::vector<Served> served_;
  // Of servers whose sockets were removed; waited for at the end.
  std::vector<std::future<void>> ending_;
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
