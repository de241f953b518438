// SPDX-License-Identifier: Apache-2.0
#include "cli/endpoint.h"

#include <grpcpp/create_channel_posix.h>
#include <grpcpp/grpcpp.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "cli/text.h"
#include "common/status.h"
#include "common/tls/tunnel.h"
#include "common/unique_fd.h"

namespace postern::cli {
namespace {

constexpr absl::string_view kUnix = "unix:";
constexpr char kReaders[] = "root or as a member of group postern";
// A list of all hosts may be larger than gRPC's 4 MiB.
constexpr int kLargestAnswer = 64 << 20;

// Who is there takes a connection up at once; one that is stopped never does.
constexpr std::chrono::seconds kPatience(10);

absl::Status NoAnswer(const Endpoint& endpoint) {
  return absl::DeadlineExceededError(absl::StrCat(
      "no answer from ", endpoint.peer, " at ", endpoint.address, " in time; is ", endpoint.service,
      " overloaded or stopped? Look at its log, "
      "and try again"));
}

bool IsUnix(absl::string_view address) { return absl::StartsWith(address, kUnix); }

absl::StatusOr<Endpoint> MakeEndpoint(Endpoint endpoint, absl::string_view option,
                                      absl::string_view example) {
  const std::string& address = endpoint.address;
  if (!absl::StartsWith(address, kUnix) || address.size() == kUnix.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat(option, " ", address, " is not an address; write it like ", example));
  }
  if (address.size() - kUnix.size() >= sizeof(sockaddr_un::sun_path)) {
    return absl::InvalidArgumentError(
        absl::StrCat(option, " ", address, " is too long for a socket; the path may have at most ",
                     sizeof(sockaddr_un::sun_path) - 1, " bytes"));
  }
  return endpoint;
}

absl::Status Probe(const Endpoint& endpoint) {
  const std::string path = endpoint.address.substr(kUnix.size());
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  memcpy(address.sun_path, path.data(), path.size());
  const UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return ErrnoStatus(errno, "cannot make a socket");
  // unix(7): connect(2) waits for as long where so many wait already.
  const timeval patience = {.tv_sec = kPatience.count(), .tv_usec = 0};
  if (setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) != 0) {
    return ErrnoStatus(errno, "cannot bound the wait for a socket");
  }
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) {
    return absl::OkStatus();
  }
  const int error = errno;
  if (error == EAGAIN) return NoAnswer(endpoint);
  const absl::Status status =
      ErrnoStatus(error, absl::StrCat("cannot reach ", endpoint.peer, " at ", endpoint.address));
  const std::string advice = error == EACCES || error == EPERM
                                 ? absl::StrCat("run it as ", endpoint.allowed)
                                 : absl::StrCat("is ", endpoint.service,
                                                " running, and is this the socket in its run_dir?");
  return absl::Status(status.code(), absl::StrCat(status.message(), "; ", advice));
}

// Until the peer has greeted. Where there is no connection the call says why.
absl::Status AwaitPeer(const Endpoint& endpoint, grpc::Channel& channel) {
  const auto deadline = std::chrono::system_clock::now() + kPatience;
  while (true) {
    const grpc_connectivity_state state = channel.GetState(/*try_to_connect=*/true);
    if (state != GRPC_CHANNEL_IDLE && state != GRPC_CHANNEL_CONNECTING) return absl::OkStatus();
    if (!channel.WaitForStateChange(state, deadline)) return NoAnswer(endpoint);
  }
}

// A channel and what carries it, which goes after it.
struct TlsChannel {
  std::unique_ptr<tls::Tunnel> tunnel;
  std::shared_ptr<grpc::Channel> channel;
};

absl::StatusOr<std::shared_ptr<grpc::Channel>> OpenTlsChannel(
    const Endpoint& endpoint, const grpc::ChannelArguments& arguments) {
  ASSIGN_OR_RETURN(const tls::Credentials credentials, tls::LoadCredentials(endpoint.tls));
  ASSIGN_OR_RETURN(tls::ContextPtr context, tls::MakeClientContext(credentials));
  ASSIGN_OR_RETURN(tls::HostPort server, tls::ParseHostPort(endpoint.address));
  auto opened = std::make_shared<TlsChannel>();
  ASSIGN_OR_RETURN(opened->tunnel,
                   tls::Tunnel::Start(absl::StrCat(endpoint.peer, " at ", endpoint.address),
                                      std::move(server), std::move(context)));
  RETURN_IF_ERROR(opened->tunnel->WaitUntilAnswered());
  opened->channel = grpc::CreateCustomInsecureChannelFromFd(
      endpoint.address, opened->tunnel->TakeEnd().release(), arguments);
  return std::shared_ptr<grpc::Channel>(opened, opened->channel.get());
}

}  // namespace

absl::StatusOr<Endpoint> AgentReadEndpoint(const std::string& address) {
  return MakeEndpoint({"the agent", address, "posternd", kReaders, "read.sock or admin.sock", {}},
                      "--agent", kAgentReadSocket);
}

absl::StatusOr<Endpoint> AgentAdminEndpoint(const std::string& address) {
  return MakeEndpoint({"the agent", address, "posternd", "root", "admin.sock", {}}, "--agent",
                      kAgentAdminSocket);
}

absl::StatusOr<Endpoint> CollectorEndpoint(const std::string& address, tls::Files tls) {
  Endpoint endpoint{.peer = "the collector",
                    .address = address,
                    .service = "postern-collector",
                    .allowed = kReaders,
                    .sockets = "query.sock",
                    .tls = std::move(tls)};
  if (IsUnix(address) || !tls::ParseHostPort(address).ok()) {
    return MakeEndpoint(std::move(endpoint), "--collector", kCollectorSocket);
  }
  if (endpoint.tls.ca.empty() || endpoint.tls.cert.empty() || endpoint.tls.key.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--collector ", address,
                     " is spoken to over TLS: it wants --ca, --cert and --key, as `postern pki "
                     "operator NAME` makes them on the collector's machine"));
  }
  return endpoint;
}

absl::StatusOr<std::shared_ptr<grpc::Channel>> OpenChannel(const Endpoint& endpoint) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kLargestAnswer);
  if (!IsUnix(endpoint.address)) return OpenTlsChannel(endpoint, arguments);
  RETURN_IF_ERROR(Probe(endpoint));
  std::shared_ptr<grpc::Channel> channel =
      grpc::CreateCustomChannel(endpoint.address, grpc::InsecureChannelCredentials(), arguments);
  RETURN_IF_ERROR(AwaitPeer(endpoint, *channel));
  return channel;
}

absl::Status CallStatus(const Endpoint& endpoint, const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  const std::string message = Printable(status.error_message());
  const std::string peer = absl::StrCat(endpoint.peer, " at ", endpoint.address);
  switch (status.error_code()) {
    case grpc::StatusCode::INVALID_ARGUMENT:
      return absl::InvalidArgumentError(message);
    case grpc::StatusCode::UNAVAILABLE:
      return absl::UnavailableError(absl::StrCat("lost the connection to ", peer, "; is ",
                                                 endpoint.service, " still running?"));
    case grpc::StatusCode::DEADLINE_EXCEEDED:
      return NoAnswer(endpoint);
    case grpc::StatusCode::UNIMPLEMENTED:
      if (!IsUnix(endpoint.address)) {
        return absl::PermissionDeniedError(
            absl::StrCat(peer,
                         " answers no such request from the bearer of this certificate; "
                         "use an operator's: postern pki operator NAME"));
      }
      // Each socket of either daemon serves its own requests.
      return absl::UnimplementedError(
          absl::StrCat("what listens at ", endpoint.address, " does not know this request; ask ",
                       endpoint.peer, " at ", endpoint.sockets,
                       " in its run_dir, or, if that is it, compare its version with "
                       "that of postern --version"));
    default:
      return absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                          absl::StrCat(peer, " could not answer: ", message));
  }
}

}  // namespace postern::cli
