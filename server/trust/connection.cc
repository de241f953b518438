// SPDX-License-Identifier: Apache-2.0
#include "server/trust/connection.h"

#include <openssl/err.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status.h"

namespace postern::server {
namespace {

// gRPC answers what breaks the protocol at once; from whom nothing came for so long it
// closes because its pings are not answered (server/ingest/keepalive.h).
constexpr absl::Duration kAnswersToWhatCame = absl::Seconds(5);

}  // namespace

std::unique_ptr<Connection> Connection::Begin(UniqueFd socket, const std::string& address,
                                              const Judge& judge, absl::Time now) {
  std::unique_ptr<Connection> connection(new Connection(std::move(socket), address, now));
  connection->ssl_ = judge.Begin(connection->socket_.get(), connection->claim_);
  return connection->ssl_ == nullptr ? nullptr : std::move(connection);
}

absl::StatusOr<bool> Connection::ShakeHands() {
  ERR_clear_error();
  const int done = SSL_do_handshake(ssl_.get());
  if (done == 1) return true;
  const int error = SSL_get_error(ssl_.get(), done);
  if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
    waits_ = error == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT;
    return false;
  }
  const unsigned long reason = ERR_get_error();
  ERR_clear_error();
  if (!claim_.refusal.empty()) return absl::PermissionDeniedError(claim_.refusal);
  claim_.grounds = ERR_GET_REASON(reason) == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE
                       ? Grounds::kNoCertificate
                       : Grounds::kNoTls;
  const char* text = reason == 0 ? nullptr : ERR_reason_error_string(reason);
  return absl::UnavailableError(text == nullptr ? "it left before it had shown a certificate"
                                                : absl::StrCat("no TLS 1.3 with it: ", text));
}

absl::StatusOr<UniqueFd> Connection::Open(std::shared_ptr<const Bearer> bearer,
                                          size_t max_message_bytes, absl::Time now) {
  bearer_ = std::move(bearer);
  int ends[2] = {};
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0) {
    return ErrnoStatus(errno, "no socket for it");
  }
  watch_ = std::make_unique<MessageWatch>(max_message_bytes);
  pipe_ = std::make_unique<tls::Pipe>(
      std::move(ssl_), std::move(socket_), UniqueFd(ends[0]),
      [watch = watch_.get()](absl::string_view bytes) { return watch->See(bytes); });
  received_ = took_ = now;
  return UniqueFd(ends[1]);
}

std::string Connection::Who() const {
  if (bearer_ == nullptr) return absl::StrCat("somebody at ", claim_.address);
  return stranger() ? bearer_->Title() : absl::StrCat(bearer_->Title(), " at ", claim_.address);
}

Connection::Carried Connection::Carry(size_t budget, absl::Time now) {
  const uint64_t received = pipe_->received();
  const uint64_t sent = pipe_->sent();
  Carried carried;
  carried.more = !pipe_->Move(budget);
  carried.received = pipe_->received() - received;
  carried.streams = watch_->TakeOpened();
  streams_ += carried.streams;
  if (carried.received > 0) received_ = now;
  if (pipe_->sent() != sent) took_ = now;
  if (!pipe_->unsent()) {
    stalled_ = absl::InfiniteFuture();
  } else if (pipe_->sent() != sent || stalled_ == absl::InfiniteFuture()) {
    stalled_ = now;
  }
  return carried;
}

std::optional<Connection::Ending> Connection::Ended(absl::Time now) const {
  if (stranger() && streams_ > kStreamsOfAStranger) {
    return Ending{.why = "it opens stream after stream", .offence = true};
  }
  switch (pipe_->end()) {
    case tls::Pipe::End::kOpen:
      return std::nullopt;
    case tls::Pipe::End::kPeer:
      return Ending{};
    case tls::Pipe::End::kRefused:
      return Ending{.why = std::string(pipe_->refusal().message()), .offence = true};
    case tls::Pipe::End::kPlain:
      break;
  }
  // Who only enrols is let go of once it is done.
  if (stranger()) return Ending{};
  if (now - received_ >= kAnswersToWhatCame) return Ending{.why = "it does not answer"};
  return Ending{.why = "what it sent breaks the rules of HTTP/2", .offence = true};
}

std::string Connection::Overdue(absl::Time now) const {
  if (!open()) {
    return now - began_ < kHandshake
               ? ""
               : absl::StrCat("showed no certificate for ", absl::FormatDuration(kHandshake));
  }
  if (stranger()) return now - began_ < kStrangerStays ? "" : "took too long to enrol";
  if (now - std::max(received_, took_) >= kSilence) {
    return absl::StrCat("was silent for ", absl::FormatDuration(kSilence));
  }
  if (now - stalled_ >= kStall) {
    return absl::StrCat("did not read what it asked for, for ", absl::FormatDuration(kStall));
  }
  return "";
}

}  // namespace postern::server
