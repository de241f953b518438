// SPDX-License-Identifier: Apache-2.0
#include "server/ingest/ingest_service.h"

#include <utility>

#include "postern/v1/ingest.grpc.pb.h"
#include "server/ingest/epoch_registry.h"
#include "server/ingest/ingest_stream.h"

namespace postern::server {
namespace {

// Raw: a message that cannot be parsed is told from a stream that ended.
class IngestService final : public v1::Ingest::WithRawCallbackMethod_Stream<v1::Ingest::Service> {
 public:
  IngestService(EventStore* store, EpochRegistry* registry, Figures* figures,
                const IngestGuard* guard)
      : store_(store), registry_(registry), figures_(figures), guard_(guard) {}

  grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* Stream(
      grpc::CallbackServerContext* context) override {
    IngestStream::Writer writer;
    if (guard_ != nullptr) {
      writer = {.known = true,
                .bearer = guard_->peers.Find(context->peer()),
                .conduct = &guard_->conduct};
    }
    // Deletes itself when gRPC is done with it.
    return new IngestStream(store_, registry_, figures_, std::move(writer));
  }

 private:
  EventStore* const store_;
  EpochRegistry* const registry_;
  Figures* const figures_;
  const IngestGuard* const guard_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeIngestService(EventStore* store, EpochRegistry* registry,
                                                 Figures* figures, const IngestGuard* guard) {
  return std::make_unique<IngestService>(store, registry, figures, guard);
}

}  // namespace postern::server
