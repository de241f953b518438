// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/delivery/echo.h"

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <csignal>
#include <memory>

#include "absl/strings/str_cat.h"
#include "postern/v1/ingest.grpc.pb.h"
#include "server/ingest/ingest_service.h"

namespace postern::bench {
namespace {

class Echo final : public v1::Ingest::Service {
  grpc::Status Stream(
      grpc::ServerContext*,
      grpc::ServerReaderWriter<v1::IngestResponse, v1::IngestRequest>* stream) override {
    v1::IngestRequest request;
    while (stream->Read(&request)) {
      v1::IngestResponse response;
      if (request.has_hello()) {
        response.mutable_welcome()->add_marks()->set_epoch(request.hello().epoch());
      } else {
        const v1::Batch& batch = request.batch();
        v1::EpochMark* mark = response.mutable_acknowledgement()->mutable_mark();
        mark->set_epoch(batch.epoch());
        mark->set_position(batch.first_position() + static_cast<uint64_t>(batch.events_size()) - 1);
      }
      if (!stream->Write(response)) break;
    }
    return grpc::Status::OK;
  }
};

}  // namespace

absl::Status ServeEcho(const std::string& address) {
  // Before gRPC makes threads: all of them leave these signals to sigwait().
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT}) sigaddset(&signals, signal);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  Echo echo;
  grpc::ServerBuilder builder;
  builder.SetMaxReceiveMessageSize(server::kMaxIngestMessageBytes);
  builder.AddListeningPort(address, grpc::InsecureServerCredentials());
  builder.RegisterService(&echo);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr) return absl::UnavailableError(absl::StrCat("cannot listen on ", address));
  int signal = 0;
  sigwait(&signals, &signal);
  server->Shutdown(std::chrono::system_clock::now());
  return absl::OkStatus();
}

}  // namespace postern::bench
