// SPDX-License-Identifier: Apache-2.0
#ifndef POSTERN_AGENT_CONTROL_SERVICES_H_
#define POSTERN_AGENT_CONTROL_SERVICES_H_

#include <atomic>

#include "agent/control/control_server.h"
#include "postern/v1/control.grpc.pb.h"

namespace postern::control {

class ControlService final : public v1::Control::Service {
 public:
  // Each holds a thread: enough for people, too few to matter.
  static constexpr int kTails = 16;

  explicit ControlService(const Backends& backends) : backends_(backends) {}

  // Tails end soon after.
  void Stop() { stopping_ = true; }

  grpc::Status Status(grpc::ServerContext* context, const v1::StatusRequest* request,
                      v1::StatusResponse* response) override;
  grpc::Status Tail(grpc::ServerContext* context, const v1::TailRequest* request,
                    grpc::ServerWriter<v1::Event>* writer) override;
  grpc::Status TestPolicy(grpc::ServerContext* context, const v1::TestPolicyRequest* request,
                          v1::TestPolicyResponse* response) override;
  grpc::Status ShowPolicy(grpc::ServerContext* context, const v1::ShowPolicyRequest* request,
                          v1::ShowPolicyResponse* response) override;

 private:
  const Backends backends_;
  std::atomic<bool> stopping_ = false;
  std::atomic<int> tails_ = 0;
};

class AdminService final : public v1::Admin::Service {
 public:
  explicit AdminService(const Backends& backends) : backends_(backends) {}

  // Streams end soon after.
  void Stop() { stopping_ = true; }

  grpc::Status SetMode(grpc::ServerContext* context, const v1::SetModeRequest* request,
                       v1::SetModeResponse* response) override;
  grpc::Status Reload(grpc::ServerContext* context, const v1::ReloadRequest* request,
                      v1::ReloadResponse* response) override;
  grpc::Status Recorded(grpc::ServerContext* context, const v1::RecordedRequest* request,
                        grpc::ServerWriter<v1::RecordedResponse>* writer) override;
  grpc::Status WouldPolicy(
      grpc::ServerContext* context,
      grpc::ServerReaderWriter<v1::WouldPolicyResponse, v1::WouldPolicyRequest>* stream) override;
  grpc::Status ExamineBinaries(grpc::ServerContext* context,
                               const v1::ExamineBinariesRequest* request,
                               v1::ExamineBinariesResponse* response) override;

 private:
  const Backends backends_;
  std::atomic<bool> stopping_ = false;
};

}  // namespace postern::control

#endif  // POSTERN_AGENT_CONTROL_SERVICES_H_
