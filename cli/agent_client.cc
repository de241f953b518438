// SPDX-License-Identifier: Apache-2.0
#include "cli/agent_client.h"

#include <grpcpp/grpcpp.h>
#include <poll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <optional>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status.h"
#include "common/unique_fd.h"
#include "postern/v1/control.grpc.pb.h"

namespace postern::cli {
namespace {

constexpr std::chrono::seconds kPatience(10);
// A new policy generation is compiled and published within it.
constexpr std::chrono::seconds kSwitchPatience(30);
// A full spool, or as many senders as are gone through, takes far less.
constexpr std::chrono::minutes kRecordPatience(10);

// Far below the 4 MiB that the agent takes in a message.
constexpr size_t kBytesAtOnce = size_t{1} << 20;
// An answer names several rules a sender.
constexpr size_t kSendersAtOnce = 500;

// Cancels a call when a descriptor becomes readable, for as long as it lives.
// The call's context must outlive it.
class CancelWhenReadable {
 public:
  CancelWhenReadable(grpc::ClientContext& context, int fd)
      : done_(eventfd(0, EFD_CLOEXEC)), thread_([this, &context, fd] { Watch(context, fd); }) {}
  ~CancelWhenReadable() {
    const uint64_t one = 1;
    while (write(done_.get(), &one, sizeof(one)) < 0 && errno == EINTR) {
    }
    thread_.join();
  }
  CancelWhenReadable(const CancelWhenReadable&) = delete;
  CancelWhenReadable& operator=(const CancelWhenReadable&) = delete;

  bool cancelled() const { return cancelled_; }

 private:
  void Watch(grpc::ClientContext& context, int fd) {
    std::array<pollfd, 2> fds = {{{fd, POLLIN, 0}, {done_.get(), POLLIN, 0}}};
    while (poll(fds.data(), fds.size(), /*timeout=*/-1) < 0 && errno == EINTR) {
    }
    if (fds[0].revents == 0) return;
    cancelled_ = true;
    context.TryCancel();
  }

  const UniqueFd done_;
  std::atomic<bool> cancelled_ = false;
  std::thread thread_;
};

}  // namespace

AgentClient::AgentClient(Endpoint endpoint, std::shared_ptr<grpc::Channel> channel)
    : endpoint_(std::move(endpoint)), channel_(std::move(channel)) {}

absl::StatusOr<std::unique_ptr<AgentClient>> AgentClient::Create(Endpoint endpoint) {
  ASSIGN_OR_RETURN(std::shared_ptr<grpc::Channel> channel, OpenChannel(endpoint));
  return std::unique_ptr<AgentClient>(new AgentClient(std::move(endpoint), std::move(channel)));
}

absl::StatusOr<v1::StatusResponse> AgentClient::Status() {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kPatience);
  v1::StatusResponse response;
  RETURN_IF_ERROR(CallStatus(
      endpoint_, v1::Control::NewStub(channel_)->Status(&context, v1::StatusRequest(), &response)));
  return response;
}

absl::StatusOr<v1::TestPolicyResponse> AgentClient::TestPolicy(
    const v1::TestPolicyRequest& request) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kPatience);
  v1::TestPolicyResponse response;
  RETURN_IF_ERROR(CallStatus(
      endpoint_, v1::Control::NewStub(channel_)->TestPolicy(&context, request, &response)));
  return response;
}

absl::StatusOr<v1::ShowPolicyResponse> AgentClient::ShowPolicy() {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kPatience);
  v1::ShowPolicyResponse response;
  RETURN_IF_ERROR(CallStatus(endpoint_, v1::Control::NewStub(channel_)->ShowPolicy(
                                            &context, v1::ShowPolicyRequest(), &response)));
  return response;
}

absl::StatusOr<v1::SetModeResponse> AgentClient::SetMode(const std::string& mode) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kSwitchPatience);
  v1::SetModeRequest request;
  request.set_mode(mode);
  v1::SetModeResponse response;
  RETURN_IF_ERROR(
      CallStatus(endpoint_, v1::Admin::NewStub(channel_)->SetMode(&context, request, &response)));
  return response;
}

absl::StatusOr<v1::ReloadResponse> AgentClient::Reload() {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kSwitchPatience);
  v1::ReloadResponse response;
  RETURN_IF_ERROR(CallStatus(
      endpoint_, v1::Admin::NewStub(channel_)->Reload(&context, v1::ReloadRequest(), &response)));
  return response;
}

absl::StatusOr<v1::Completeness> AgentClient::Recorded(
    const v1::RecordedRequest& request, const std::function<bool(const v1::Event&)>& on_event) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kRecordPatience);
  const auto stub = v1::Admin::NewStub(channel_);
  const auto reader = stub->Recorded(&context, request);
  std::optional<v1::Completeness> completeness;
  v1::RecordedResponse response;
  bool wanted = true;
  while (wanted && reader->Read(&response)) {
    if (response.has_completeness()) {
      completeness = response.completeness();
    } else {
      wanted = on_event(response.event());
    }
  }
  if (!wanted) context.TryCancel();
  const grpc::Status status = reader->Finish();
  if (!wanted) return absl::CancelledError("nobody reads the answer");
  RETURN_IF_ERROR(CallStatus(endpoint_, status));
  if (!completeness) {
    return absl::DataLossError(absl::StrCat("the answer of ", endpoint_.peer, " at ",
                                            endpoint_.address, " broke off; ask again"));
  }
  return *completeness;
}

absl::StatusOr<v1::CheckedPolicy> AgentClient::WouldPolicy(
    const v1::PolicyText& policy, const std::vector<const v1::Event*>& senders,
    std::vector<v1::Judgement>& judgements) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kRecordPatience);
  const auto stub = v1::Admin::NewStub(channel_);
  const auto stream = stub->WouldPolicy(&context);
  v1::WouldPolicyRequest request;
  v1::WouldPolicyResponse response;
  *request.mutable_policy() = policy;
  v1::CheckedPolicy checked;
  bool whole = stream->Write(request) && stream->Read(&response);
  if (whole) checked = response.checked();
  for (size_t at = 0; whole && checked.accepted() && at < senders.size();) {
    v1::RecordedSenders& some = *request.mutable_senders();
    some.Clear();
    const size_t end = std::min(at + kSendersAtOnce, senders.size());
    for (size_t bytes = 0; at < end && bytes < kBytesAtOnce; ++at) {
      bytes += senders[at]->ByteSizeLong();
      *some.add_senders() = *senders[at];
    }
    whole = stream->Write(request) && stream->Read(&response) &&
            response.judgements().judgements_size() == some.senders_size();
    if (!whole) break;
    for (v1::Judgement& judgement : *response.mutable_judgements()->mutable_judgements()) {
      judgements.push_back(std::move(judgement));
    }
  }
  stream->WritesDone();
  RETURN_IF_ERROR(CallStatus(endpoint_, stream->Finish()));
  if (!whole) {
    return absl::DataLossError(absl::StrCat("the answer of ", endpoint_.peer, " at ",
                                            endpoint_.address, " broke off; ask again"));
  }
  return checked;
}

absl::StatusOr<v1::ExamineBinariesResponse> AgentClient::ExamineBinaries(
    const std::vector<std::string>& paths) {
  const auto stub = v1::Admin::NewStub(channel_);
  const auto deadline = std::chrono::system_clock::now() + kRecordPatience;
  v1::ExamineBinariesResponse response;
  for (size_t at = 0; at < paths.size();) {
    v1::ExamineBinariesRequest request;
    for (size_t bytes = 0; at < paths.size() && bytes < kBytesAtOnce; ++at) {
      bytes += paths[at].size();
      request.add_paths(paths[at]);
    }
    grpc::ClientContext context;
    context.set_deadline(deadline);
    v1::ExamineBinariesResponse some;
    RETURN_IF_ERROR(CallStatus(endpoint_, stub->ExamineBinaries(&context, request, &some)));
    if (some.binaries_size() != request.paths_size()) {
      return absl::DataLossError(absl::StrCat(endpoint_.peer, " at ", endpoint_.address,
                                              " did not answer for every binary; ask again"));
    }
    response.MergeFrom(some);
  }
  return response;
}

absl::Status AgentClient::Tail(const v1::TailRequest& request, int stop_fd,
                               const std::function<bool(const v1::Event&)>& on_event) {
  grpc::ClientContext context;
  const auto stub = v1::Control::NewStub(channel_);
  bool enough = false;
  grpc::Status status;
  bool stopped = false;
  {
    const CancelWhenReadable watcher(context, stop_fd);
    const auto reader = stub->Tail(&context, request);
    v1::Event event;
    while (!enough && reader->Read(&event)) enough = !on_event(event);
    if (enough) context.TryCancel();
    status = reader->Finish();
    stopped = watcher.cancelled();
  }
  if (enough || stopped) return absl::OkStatus();
  if (status.ok()) {
    return absl::UnavailableError(absl::StrCat(endpoint_.peer, " at ", endpoint_.address,
                                               " sends no more events; is it being stopped?"));
  }
  return CallStatus(endpoint_, status);
}

}  // namespace postern::cli
