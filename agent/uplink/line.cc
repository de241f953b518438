// SPDX-License-Identifier: Apache-2.0
#include "agent/uplink/line.h"

#include <fcntl.h>
#include <grpc/grpc.h>
#include <grpcpp/create_channel_posix.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/status.h"
#include "common/unix_socket.h"

namespace postern::uplink {
namespace {

constexpr absl::string_view kUnix = "unix:";

bool IsUnix(const std::string& address) {
  return absl::StartsWith(address, absl::StrCat(kUnix, "/"));
}

grpc::ChannelArguments Arguments(const Keepalive& keepalive) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS,
                   static_cast<int>(absl::ToInt64Milliseconds(keepalive.every)));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS,
                   static_cast<int>(absl::ToInt64Milliseconds(keepalive.timeout)));
  // As often as that, however little is sent.
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  arguments.SetMaxReceiveMessageSize(4 << 20);
  // A connection that failed must not be handed out again from gRPC's own pool,
  // with its own idea of when to try.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return arguments;
}

absl::Status OpenChannel(const std::string& address, UniqueFd socket, const Keepalive& keepalive,
                         Line& line) {
  line.socket.reset(fcntl(socket.get(), F_DUPFD_CLOEXEC, 0));
  if (!line.socket.valid()) return ErrnoStatus(errno, "keeping a socket");
  line.channel =
      grpc::CreateCustomInsecureChannelFromFd(address, socket.release(), Arguments(keepalive));
  return absl::OkStatus();
}

absl::StatusOr<Line> DialTls(const std::string& address, tls::ContextPtr context,
                             const Keepalive& keepalive) {
  ASSIGN_OR_RETURN(tls::HostPort server, tls::ParseHostPort(address));
  Line line;
  ASSIGN_OR_RETURN(line.tunnel,
                   tls::Tunnel::Start("the collector", std::move(server), std::move(context)));
  RETURN_IF_ERROR(OpenChannel(address, line.tunnel->TakeEnd(), keepalive, line));
  return line;
}

}  // namespace

void Line::Cut() const { shutdown(socket.get(), SHUT_RDWR); }

absl::Status Line::Explain(absl::Status status) const {
  if (status.ok() || tunnel == nullptr) return status;
  absl::Status failure = tunnel->failure();
  return failure.ok() ? status : failure;
}

absl::Status CheckAddress(const std::string& address) {
  if (IsUnix(address) || tls::ParseHostPort(address).ok()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "collector address ", address, ": neither HOST:PORT nor unix:/PATH can be spoken to"));
}

absl::StatusOr<Line> Dial(const std::string& address, const tls::Files& files,
                          const Keepalive& keepalive) {
  if (IsUnix(address)) {
    Line line;
    ASSIGN_OR_RETURN(UniqueFd socket, ConnectToUnixSocket(address.substr(kUnix.size())));
    RETURN_IF_ERROR(OpenChannel(address, std::move(socket), keepalive, line));
    return line;
  }
  const absl::StatusOr<tls::Credentials> credentials = tls::LoadCredentials(files);
  if (!credentials.ok()) {
    return absl::FailedPreconditionError(absl::StrCat(
        credentials.status().message(), "; enrol (posternd --enroll) or set 'tls' of 'collector'"));
  }
  ASSIGN_OR_RETURN(tls::ContextPtr context, tls::MakeClientContext(*credentials));
  return DialTls(address, std::move(context), keepalive);
}

absl::StatusOr<Line> DialPinned(const std::string& address, const std::string& ca_fingerprint) {
  ASSIGN_OR_RETURN(tls::ContextPtr context, tls::MakePinnedContext(ca_fingerprint));
  return DialTls(address, std::move(context), Keepalive());
}

}  // namespace postern::uplink
