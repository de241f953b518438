// SPDX-License-Identifier: Apache-2.0
#include "server/query/query_service.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "common/log.h"
#include "common/status.h"
#include "common/steady_clock.h"
#include "postern/v1/query.grpc.pb.h"
#include "server/query/filter.h"
#include "server/query/reader.h"

namespace postern::server {
namespace {

class QueryService final : public v1::Query::Service {
 public:
  QueryService(EventStore* store, Figures* figures, const Peers* peers)
      : store_(store), figures_(figures), peers_(peers) {}

  grpc::Status Find(grpc::ServerContext* context, const v1::FindRequest* request,
                    grpc::ServerWriter<v1::FindResponse>* writer) override {
    return Answer(Question::kFind, [&] { return FindEvents(*context, *request, *writer); });
  }
  grpc::Status Group(grpc::ServerContext* context, const v1::GroupRequest* request,
                     grpc::ServerWriter<v1::GroupResponse>* writer) override {
    return Answer(Question::kGroup, [&] { return GroupEvents(*context, *request, *writer); });
  }
  grpc::Status Hosts(grpc::ServerContext* context, const v1::HostsRequest*,
                     v1::HostsResponse* response) override {
    return Answer(Question::kHosts, [&] { return ListHosts(*context, *response); });
  }

 private:
  // The numbers of absl's and gRPC's codes are the same by design.
  grpc::Status Answer(Question question, absl::FunctionRef<absl::Status()> answer) {
    const absl::Time asked = SteadyNow();
    const absl::Status status = answer();
    figures_->Answered(question, status, SteadyNow() - asked);
    if (!status.ok() && !absl::IsInvalidArgument(status) && !absl::IsCancelled(status) &&
        !absl::IsPermissionDenied(status)) {
      LogError("a question could not be answered: %s", status.message());
    }
    return {CodeOf(status), std::string(status.message())};
  }

  // To whoever asks these codes of gRPC's say that nobody answered: that the connection
  // broke, or the answer was late. What the store says is an answer, and not to be
  // mistaken for that.
  static grpc::StatusCode CodeOf(const absl::Status& status) {
    const bool is_grpcs = absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) ||
                          absl::IsUnimplemented(status);
    return is_grpcs ? grpc::StatusCode::INTERNAL : static_cast<grpc::StatusCode>(status.code());
  }

  absl::StatusOr<Reader> ReaderOf(const grpc::ServerContext& context) const {
    if (peers_ == nullptr) return Reader();
    return Reader::Of(peers_->Find(context.peer()));
  }

  // What is asked for, of hosts that the asker may read.
  absl::StatusOr<EventFilter> AllowedFilter(const grpc::ServerContext& context,
                                            const v1::Filter& asked) const {
    ASSIGN_OR_RETURN(const Reader reader, ReaderOf(context));
    ASSIGN_OR_RETURN(EventFilter filter, FilterOf(asked));
    RETURN_IF_ERROR(reader.Restrict(*store_, filter));
    return filter;
  }

  absl::Status ListHosts(const grpc::ServerContext& context, v1::HostsResponse& response) const {
    ASSIGN_OR_RETURN(const Reader reader, ReaderOf(context));
    ASSIGN_OR_RETURN(std::vector<v1::Host> hosts, store_->Hosts());
    for (v1::Host& host : hosts) {
      if (reader.MayRead(host.host())) *response.add_hosts() = std::move(host);
    }
    return absl::OkStatus();
  }

  absl::Status FindEvents(grpc::ServerContext& context, const v1::FindRequest& request,
                          grpc::ServerWriter<v1::FindResponse>& writer) {
    ASSIGN_OR_RETURN(const EventFilter filter, AllowedFilter(context, request.filter()));
    // Before the search: what arrives meanwhile is not in its pages either.
    ASSIGN_OR_RETURN(v1::Completeness completeness, store_->Complete(filter));
    bool writable = true;
    const auto sink = [&](const v1::Event& event) {
      v1::FindResponse response;
      *response.mutable_event() = event;
      writable = writer.Write(response);
      return writable;
    };
    ASSIGN_OR_RETURN(const bool truncated,
                     store_->Find(
                         filter, request.limit(), [&] { return context.IsCancelled(); }, sink));
    if (!writable) return absl::CancelledError("nobody waits for the answer");
    completeness.set_truncated(truncated);
    v1::FindResponse last;
    *last.mutable_completeness() = std::move(completeness);
    writer.Write(last);
    return absl::OkStatus();
  }

  absl::Status GroupEvents(grpc::ServerContext& context, const v1::GroupRequest& request,
                           grpc::ServerWriter<v1::GroupResponse>& writer) {
    ASSIGN_OR_RETURN(const EventFilter filter, AllowedFilter(context, request.filter()));
    ASSIGN_OR_RETURN(const std::vector<GroupField> fields, GroupFieldsOf(request));
    ASSIGN_OR_RETURN(v1::Completeness completeness, store_->Complete(filter));
    ASSIGN_OR_RETURN(GroupPage page, store_->Group(filter, fields, request.limit(),
                                                   [&] { return context.IsCancelled(); }));
    for (v1::Group& group : page.groups) {
      v1::GroupResponse response;
      *response.mutable_group() = std::move(group);
      if (!writer.Write(response)) return absl::CancelledError("nobody waits for the answer");
    }
    completeness.set_truncated(page.truncated);
    v1::GroupResponse last;
    *last.mutable_completeness() = std::move(completeness);
    writer.Write(last);
    return absl::OkStatus();
  }

  EventStore* const store_;
  Figures* const figures_;
  const Peers* const peers_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeQueryService(EventStore* store, Figures* figures,
                                                const Peers* peers) {
  return std::make_unique<QueryService>(store, figures, peers);
}

}  // namespace postern::server
