// SPDX-License-Identifier: Apache-2.0
#include "server/ingest/ingest_service.h"

#include "postern/v1/ingest.grpc.pb.h"
#include "server/ingest/epoch_registry.h"
#include "server/ingest/ingest_stream.h"

namespace postern::server {
namespace {

// Raw: a message that cannot be parsed is told from a stream that ended.
class IngestService final : public v1::Ingest::WithRawCallbackMethod_Stream<v1::Ingest::Service> {
 public:
  explicit IngestService(EventStore* store) : store_(store) {}

  grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* Stream(
      grpc::CallbackServerContext*) override {
    // Deletes itself when gRPC is done with it.
    return new IngestStream(store_, &registry_);
  }

 private:
  EventStore* const store_;
  EpochRegistry registry_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeIngestService(EventStore* store) {
  return std::make_unique<IngestService>(store);
}

}  // namespace postern::server
