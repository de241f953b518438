// SPDX-License-Identifier: Apache-2.0
#include "common/tls/pipe.h"

#include <openssl/err.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

namespace postern::tls {
namespace {

// The most that a record holds (RFC 8446, 5.1).
constexpr size_t kRecordBytes = size_t{16} << 10;
// After so many it is another connection's turn, whatever is left.
constexpr int kMaxSteps = 64;
// A peer changes its keys (RFC 8446, 4.6.3) once in millions of records, if ever.
constexpr int kMaxIdleMessages = 32;

}  // namespace

Pipe::Pipe(SslPtr ssl, UniqueFd socket, UniqueFd plain, Inspect inspect)
    : socket_(std::move(socket)),
      plain_(std::move(plain)),
      ssl_(std::move(ssl)),
      inspect_(std::move(inspect)),
      read_waits_(POLLIN) {
  // Else SSL_read() goes on as long as a peer sends messages without a byte in them.
  SSL_clear_mode(ssl_.get(), SSL_MODE_AUTO_RETRY);
  SSL_set_msg_callback(ssl_.get(), SeeMessage);
  SSL_set_msg_callback_arg(ssl_.get(), this);
}

void Pipe::SeeMessage(int sent, int /*version*/, int type, const void* /*bytes*/, size_t /*size*/,
                      SSL* /*ssl*/, void* pipe) {
  if (sent == 0 && type == SSL3_RT_HANDSHAKE) ++static_cast<Pipe*>(pipe)->idle_messages_;
}

bool Pipe::Move(size_t budget) {
  // While it moves: an idle connection holds no buffer.
  buffer_.resize(kRecordBytes);
  const uint64_t until = received_ + budget;
  bool moved = true;
  for (int step = 0; moved && step < kMaxSteps && end_ == End::kOpen; ++step) {
    moved = false;
    if (to_plain_.empty() && !peer_ended_ && received_ < until) moved |= ReadPeer();
    if (end_ == End::kRefused) break;
    if (!to_plain_.empty()) moved |= WritePlain();
    if (to_peer_.empty() && !plain_ended_) moved |= ReadPlain();
    if (!to_peer_.empty()) moved |= WritePeer();
    if (peer_ended_ && to_plain_.empty()) {
      end_ = End::kPeer;
    } else if (plain_ended_ && to_peer_.empty()) {
      SSL_shutdown(ssl_.get());
      ERR_clear_error();
      end_ = End::kPlain;
    }
  }
  buffer_ = {};
  // What the budget kept back may lie in OpenSSL's buffer, of which poll(2) knows nothing.
  const bool kept_back = budget > 0 && received_ >= until;
  return (!moved && !kept_back) || end_ != End::kOpen;
}

short Pipe::PeerEvents(bool may_read) const {
  short events = 0;
  if (may_read && to_plain_.empty() && !peer_ended_) events |= read_waits_;
  if (!to_peer_.empty()) events |= write_waits_;
  return events;
}

short Pipe::PlainEvents() const {
  short events = 0;
  if (!to_plain_.empty()) events |= POLLOUT;
  if (to_peer_.empty() && !plain_ended_) events |= POLLIN;
  return events;
}

void Pipe::Await(int result, bool reading) {
  const int error = SSL_get_error(ssl_.get(), result);
  ERR_clear_error();
  short& waits = reading ? read_waits_ : write_waits_;
  if (error == SSL_ERROR_WANT_READ) {
    waits = POLLIN;
  } else if (error == SSL_ERROR_WANT_WRITE) {
    waits = POLLOUT;
  } else {
    // Ended in order, or broken, or no TLS any more: nothing comes after it.
    peer_ended_ = true;
  }
}

bool Pipe::ReadPeer() {
  ERR_clear_error();
  const int got = SSL_read(ssl_.get(), buffer_.data(), static_cast<int>(buffer_.size()));
  if (got > 0) {
    to_plain_.assign(buffer_.data(), static_cast<size_t>(got));
    received_ += static_cast<uint64_t>(got);
    idle_messages_ = 0;
    if (inspect_ != nullptr) refusal_ = inspect_(to_plain_);
    if (!refusal_.ok()) end_ = End::kRefused;
    return refusal_.ok();
  }
  Await(got, /*reading=*/true);
  if (idle_messages_ > kMaxIdleMessages) {
    refusal_ = absl::ResourceExhaustedError("it changes its keys again and again");
    end_ = End::kRefused;
  }
  return false;
}

bool Pipe::WritePlain() {
  const ssize_t took =
      send(plain_.get(), to_plain_.data(), to_plain_.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (took > 0) {
    to_plain_.erase(0, static_cast<size_t>(took));
    return true;
  }
  if (errno == EAGAIN || errno == EINTR) return false;
  to_plain_.clear();
  plain_ended_ = true;
  return false;
}

bool Pipe::ReadPlain() {
  const ssize_t got = recv(plain_.get(), buffer_.data(), buffer_.size(), MSG_DONTWAIT);
  if (got > 0) {
    to_peer_.assign(buffer_.data(), static_cast<size_t>(got));
    return true;
  }
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  plain_ended_ = true;
  return false;
}

bool Pipe::WritePeer() {
  ERR_clear_error();
  const int took = SSL_write(ssl_.get(), to_peer_.data(), static_cast<int>(to_peer_.size()));
  if (took > 0) {
    to_peer_.erase(0, static_cast<size_t>(took));
    sent_ += static_cast<uint64_t>(took);
    return true;
  }
  Await(took, /*reading=*/false);
  if (peer_ended_) to_peer_.clear();
  return false;
}

}  // namespace postern::tls
