// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/cli/fake_collector.h"

#include <grpcpp/grpcpp.h>

#include "gtest/gtest.h"
#include "postern/v1/query.grpc.pb.h"

namespace postern::cli {

class FakeCollector::Server : public v1::Query::Service {
 public:
  Server(FakeCollector& collector, const std::string& address) : collector_(collector) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort(address, grpc::InsecureServerCredentials());
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
    EXPECT_NE(server_, nullptr) << address;
  }
  ~Server() override { server_->Shutdown(std::chrono::system_clock::now()); }

  grpc::Status Find(grpc::ServerContext*, const v1::FindRequest* request,
                    grpc::ServerWriter<v1::FindResponse>* writer) override {
    const bool asks_policies =
        request->filter().kinds_size() == 1 && request->filter().kinds(0) == v1::Event::POLICY;
    if (!asks_policies) collector_.found = *request;
    v1::FindResponse response;
    for (const v1::Event& event : asks_policies ? collector_.policies : collector_.events) {
      *response.mutable_event() = event;
      writer->Write(response);
    }
    *response.mutable_completeness() = collector_.completeness;
    if (!collector_.breaks_off) writer->Write(response);
    return Outcome();
  }

  grpc::Status Group(grpc::ServerContext*, const v1::GroupRequest* request,
                     grpc::ServerWriter<v1::GroupResponse>* writer) override {
    collector_.grouped = *request;
    v1::GroupResponse response;
    for (const v1::Group& group : collector_.groups) {
      *response.mutable_group() = group;
      writer->Write(response);
    }
    *response.mutable_completeness() = collector_.completeness;
    if (!collector_.breaks_off) writer->Write(response);
    return Outcome();
  }

  grpc::Status Hosts(grpc::ServerContext*, const v1::HostsRequest*,
                     v1::HostsResponse* response) override {
    *response = collector_.hosts;
    return Outcome();
  }

 private:
  grpc::Status Outcome() const {
    return collector_.failure.empty()
               ? grpc::Status::OK
               : grpc::Status(grpc::StatusCode::INTERNAL, collector_.failure);
  }

  FakeCollector& collector_;
  std::unique_ptr<grpc::Server> server_;
};

FakeCollector::FakeCollector(const std::string& address)
    : server_(std::make_unique<Server>(*this, address)) {}
FakeCollector::~FakeCollector() = default;

}  // namespace postern::cli
