// SPDX-License-Identifier: Apache-2.0
// One agent's stream. Exactly one thing is under way at any time (a read, a job
// of the store, a write), and each starts the next: the next batch is read only
// after the last one is committed and acknowledged, which is what holds an agent
// back, and nothing here needs a lock. Includes gRPC.
#ifndef POSTERN_SERVER_INGEST_INGEST_STREAM_H_
#define POSTERN_SERVER_INGEST_INGEST_STREAM_H_

#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/server_callback.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "postern/v1/ingest.pb.h"
#include "server/ingest/epoch_registry.h"
#include "server/metrics/figures.h"
#include "server/store/event_store.h"
#include "server/trust/conduct.h"

namespace postern::server {

class IngestStream final : public grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  // Who writes.
  struct Writer {
    // False: the socket's file has decided, and any host may be written.
    bool known = false;
    // Null where it is not known after all: refused.
    std::shared_ptr<const Bearer> bearer;
    Conduct* conduct = nullptr;
  };

  // All outlive the stream. Deletes itself in OnDone().
  IngestStream(EventStore* store, EpochRegistry* registry, Figures* figures, Writer writer);

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnDone() override;

 private:
  ~IngestStream() override = default;

  // Each starts what comes next.
  void Greet(v1::Hello& hello);
  // Of the writer, before anything is read, and once it has said which host it is.
  absl::Status CheckWriter();
  absl::Status CheckHost(const std::string& host);
  // Ends the stream for what it sent.
  void Reject(const absl::Status& why);
  void Store(v1::Batch& batch);
  void Send(v1::IngestResponse response);
  void End(const absl::Status& status);

  EventStore* const store_;
  EpochRegistry* const registry_;
  Figures* const figures_;
  const Writer writer_;
  // What the stream speaks for, once greeted.
  bool greeted_ = false;
  std::string host_;
  std::vector<uint64_t> epochs_;

  grpc::ByteBuffer incoming_;
  size_t incoming_bytes_ = 0;  // of the message that is looked at
  grpc::ByteBuffer outgoing_;
};

}  // namespace postern::server

#endif  // POSTERN_SERVER_INGEST_INGEST_STREAM_H_
