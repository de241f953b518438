// SPDX-License-Identifier: Apache-2.0
// What any peer may send to the collector: messages of one Ingest stream, from
// the bytes that gRPC hands over to the answers of the store. The input is the
// messages, each after its length in two bytes, the lower one first.
#include <grpc/grpc.h>
#include <grpcpp/impl/codegen/proto_utils.h>
#include <grpcpp/support/server_callback.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/mutex.h"
#include "postern/v1/ingest.grpc.pb.h"
#include "server/ingest/ingest_stream.h"
#include "server/metrics/figures.h"
#include "server/store/sqlite_store.h"
#include "tests/support/temporary_folder.h"

namespace {

using grpc::ByteBuffer;
using postern::Mutex;
using postern::MutexLock;
using postern::server::EpochRegistry;
using postern::server::EventStore;
using postern::server::GroupField;
using postern::server::IngestStream;
using postern::server::SqliteStore;

constexpr int64_t kNow = 1'767'225'600'000'000'000;
constexpr std::chrono::seconds kPatience(60);

// Ends the fuzzer where a promise was broken, and says which.
void Require(bool kept, absl::string_view promise, const absl::Status& status = {}) {
  if (kept) return;
  fprintf(stderr, "wire_fuzzer: broken: %.*s %s\n", static_cast<int>(promise.size()),
          promise.data(), status.ToString().c_str());
  abort();
}

// Takes gRPC's place: hands the stream one message after another, as it asks for
// them, and reads its answers.
class Peer final : public grpc::ServerCallbackReaderWriter<ByteBuffer, ByteBuffer> {
 public:
  explicit Peer(absl::string_view messages) : messages_(messages) {}

  // Until the stream is finished, with or without an error.
  void Talk(IngestStream* stream) {
    BindReactor(stream);
    while (true) {
      switch (Next()) {
        case Wish::kRead: {
          const bool more = !messages_.empty();
          if (more) *incoming_ = NextMessage();
          stream->OnReadDone(more);
          break;
        }
        case Wish::kWrite:
          stream->OnWriteDone(true);
          break;
        case Wish::kFinish:
          stream->OnDone();
          return;
        case Wish::kNone:
          break;
      }
    }
  }

  // The stream's side; the store's thread calls them too.
  void Read(ByteBuffer* message) override {
    incoming_ = message;
    Want(Wish::kRead);
  }
  void Write(const ByteBuffer* message, grpc::WriteOptions) override {
    ByteBuffer bytes(*message);
    postern::v1::IngestResponse response;
    Require(
        grpc::SerializationTraits<postern::v1::IngestResponse>::Deserialize(&bytes, &response).ok(),
        "an answer can be read");
    Want(Wish::kWrite);
  }
  void Finish(grpc::Status) override { Want(Wish::kFinish); }
  void SendInitialMetadata() override {}
  void WriteAndFinish(const ByteBuffer*, grpc::WriteOptions, grpc::Status) override { abort(); }

 private:
  enum class Wish { kNone, kRead, kWrite, kFinish };

  void Want(Wish wish) {
    MutexLock lock(&mutex_);
    Require(wish_ == Wish::kNone, "a stream has one thing under way");
    wish_ = wish;
    mutex_.NotifyAll();
  }
  Wish Next() {
    MutexLock lock(&mutex_);
    Require(mutex_.AwaitFor(kPatience, [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(
                                           mutex_) { return wish_ != Wish::kNone; }),
            "a stream goes on");
    return std::exchange(wish_, Wish::kNone);
  }

  ByteBuffer NextMessage() {
    size_t size = static_cast<uint8_t>(messages_[0]);
    messages_.remove_prefix(1);
    if (!messages_.empty()) {
      size += size_t{static_cast<uint8_t>(messages_[0])} << 8;
      messages_.remove_prefix(1);
    }
    const grpc::Slice slice{std::string(messages_.substr(0, size))};
    messages_.remove_prefix(std::min(size, messages_.size()));
    return ByteBuffer(&slice, 1);
  }

  // The base class counts references that only gRPC's own calls hold.
  grpc::internal::ServerReactor* reactor() override { return nullptr; }
  void CallOnDone() override {}

  absl::string_view messages_;
  ByteBuffer* incoming_ = nullptr;
  Mutex mutex_;
  Wish wish_ ABSL_GUARDED_BY(mutex_) = Wish::kNone;
};

// Whatever was taken, everything can still be asked.
void AskEverything(EventStore& store) {
  const auto never = [] { return false; };
  const absl::StatusOr<bool> found =
      store.Find({}, /*limit=*/0, never, [](const postern::v1::Event& event) {
        postern::v1::Event copy;
        Require(copy.ParseFromString(event.SerializeAsString()), "an event found can be sent");
        return true;
      });
  Require(found.ok(), "events are found:", found.status());
  const auto groups =
      store.Group({}, {GroupField::kUser, GroupField::kDestination, GroupField::kVerdict},
                  /*limit=*/0, never);
  Require(groups.ok(), "events are grouped:", groups.status());
  const auto completeness = store.Complete({});
  Require(completeness.ok(), "completeness is known:", completeness.status());
  const auto hosts = store.Hosts();
  Require(hosts.ok(), "hosts are known:", hosts.status());
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  grpc_init();
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const postern::TemporaryFolder folder;
  postern::server::SqliteStoreOptions options;
  options.path = folder / "events.db";
  options.now = [] { return kNow; };
  auto store = SqliteStore::Open(std::move(options));
  Require(store.ok(), "a store opens:", store.status());
  EpochRegistry registry;
  postern::server::Figures figures;
  // It deletes itself.
  Peer({reinterpret_cast<const char*>(data), size})
      .Talk(new IngestStream(store->get(), &registry, &figures, /*writer=*/{}));
  AskEverything(**store);
  return 0;
}
