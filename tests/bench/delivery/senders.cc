// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/delivery/senders.h"

#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <algorithm>
#include <deque>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "common/mutex.h"
#include "common/status.h"
#include "common/steady_clock.h"
#include "postern/v1/ingest.grpc.pb.h"

namespace postern::bench {
namespace {

constexpr absl::Duration kPatience = absl::Minutes(2);

using Stream = grpc::ClientReaderWriter<v1::IngestRequest, v1::IngestResponse>;

class Sender {
 public:
  Sender(const std::string& address, int number)
      : host_(absl::StrFormat("agent%04d.example.net", number)),
        // Another one in each run: the peer has not seen it.
        epoch_((static_cast<uint64_t>(getpid()) << 40) +
               (static_cast<uint64_t>(absl::ToUnixMicros(absl::Now())) << 8) +
               static_cast<uint64_t>(number)) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    channel_ = grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
    stub_ = v1::Ingest::NewStub(channel_);
  }
  ~Sender() {
    context_.TryCancel();
    if (stream_ != nullptr) stream_->Finish().IgnoreError();
  }
  Sender(const Sender&) = delete;
  Sender& operator=(const Sender&) = delete;

  absl::Status Connect() {
    stream_ = stub_->Stream(&context_);
    v1::IngestRequest request;
    v1::Hello* hello = request.mutable_hello();
    hello->set_host(host_);
    hello->set_agent(absl::StrCat("bench-", host_));
    hello->set_version("bench");
    hello->set_epoch(epoch_);
    hello->mutable_state()->set_mode("monitor");
    v1::IngestResponse response;
    if (stream_->Write(request) && stream_->Read(&response) && response.has_welcome()) {
      return absl::OkStatus();
    }
    return Ended();
  }

  void Add(v1::Event event, int batch_events) {
    if (batches_.empty() || batches_.back().batch().events_size() == batch_events) {
      v1::Batch* batch = batches_.emplace_back().mutable_batch();
      batch->set_epoch(epoch_);
      batch->set_first_position(made_ + 1);
    }
    *batches_.back().mutable_batch()->add_events() = std::move(event);
    ++made_;
  }

  absl::Status SendAll(int under_way) ABSL_LOCKS_EXCLUDED(mutex_) {
    std::thread reader([this, count = batches_.size()] { ReadAcknowledgements(count); });
    for (const v1::IngestRequest& request : batches_) {
      const v1::Batch& batch = request.batch();
      const uint64_t last = batch.first_position() + static_cast<uint64_t>(batch.events_size()) - 1;
      {
        MutexLock lock(&mutex_);
        const auto room = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
          return ended_ || under_way_.size() < static_cast<size_t>(under_way);
        };
        mutex_.AwaitUntil(absl::ToChronoTime(absl::Now() + kPatience), room);
        if (ended_) break;
        under_way_.push_back({last, SteadyNow()});
      }
      if (!stream_->Write(request)) break;
    }
    reader.join();
    batches_.clear();
    MutexLock lock(&mutex_);
    return under_way_.empty() ? absl::OkStatus() : Ended();
  }

  Samples TakeSamples() ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(&mutex_);
    return std::exchange(acknowledged_ns_, Samples());
  }

 private:
  struct UnderWay {
    uint64_t last_position;
    absl::Time sent;
  };

  void ReadAcknowledgements(size_t count) ABSL_LOCKS_EXCLUDED(mutex_) {
    v1::IngestResponse response;
    while (count > 0 && stream_->Read(&response)) {
      const absl::Time now = SteadyNow();
      MutexLock lock(&mutex_);
      // One may stand for several.
      while (!under_way_.empty() &&
             under_way_.front().last_position <= response.acknowledgement().mark().position()) {
        acknowledged_ns_.Add(absl::ToDoubleNanoseconds(now - under_way_.front().sent));
        under_way_.pop_front();
        --count;
      }
      mutex_.NotifyAll();
    }
    MutexLock lock(&mutex_);
    ended_ = count > 0;
    mutex_.NotifyAll();
  }

  absl::Status Ended() {
    context_.TryCancel();
    const grpc::Status status = std::exchange(stream_, nullptr)->Finish();
    return absl::UnavailableError(
        absl::StrCat("the peer does not take batches: ", status.error_message()));
  }

  const std::string host_;
  const uint64_t epoch_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::Ingest::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<Stream> stream_;
  uint64_t made_ = 0;
  std::vector<v1::IngestRequest> batches_;

  Mutex mutex_;
  std::deque<UnderWay> under_way_ ABSL_GUARDED_BY(mutex_);
  Samples acknowledged_ns_ ABSL_GUARDED_BY(mutex_);
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
};

class ManySenders final : public Senders {
 public:
  absl::Status Connect(const std::string& address, int agents) {
    for (int i = 0; i < agents; ++i) {
      senders_.push_back(std::make_unique<Sender>(address, i));
      RETURN_IF_ERROR(senders_.back()->Connect());
    }
    return absl::OkStatus();
  }

  absl::StatusOr<Delivered> Send(Attempts& attempts, int64_t events, int batch_events,
                                 int under_way) override {
    for (int64_t made = 0; made < events;) {
      server::EventBatch batch = attempts.Next();
      for (v1::Event& event : batch.events) {
        if (made == events) break;
        Sender& sender = *senders_[static_cast<size_t>(made / batch_events) % senders_.size()];
        sender.Add(std::move(event), batch_events);
        ++made;
      }
    }
    std::vector<std::thread> threads;
    std::vector<absl::Status> ended(senders_.size());
    const absl::Time begin = SteadyNow();
    for (size_t i = 0; i < senders_.size(); ++i) {
      threads.emplace_back([&, i] { ended[i] = senders_[i]->SendAll(under_way); });
    }
    for (std::thread& thread : threads) thread.join();
    Delivered delivered;
    delivered.seconds = absl::ToDoubleSeconds(SteadyNow() - begin);
    for (size_t i = 0; i < senders_.size(); ++i) {
      RETURN_IF_ERROR(ended[i]);
      delivered.acknowledged_ns.Add(senders_[i]->TakeSamples());
    }
    return delivered;
  }

 private:
  std::vector<std::unique_ptr<Sender>> senders_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Senders>> Senders::Connect(const std::string& address, int agents) {
  auto senders = std::make_unique<ManySenders>();
  RETURN_IF_ERROR(senders->Connect(address, agents));
  return std::unique_ptr<Senders>(std::move(senders));
}

}  // namespace postern::bench
