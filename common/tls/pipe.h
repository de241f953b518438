// SPDX-License-Identifier: Apache-2.0
// Carries bytes between a TLS connection and a plain socket, both without
// blocking, as far as either side takes them. What one side does not take the
// other is not asked for: there is never more than one record in between.
//
// For one thread. Ignore or block SIGPIPE in it.
#ifndef POSTERN_COMMON_TLS_PIPE_H_
#define POSTERN_COMMON_TLS_PIPE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/tls/openssl.h"
#include "common/unique_fd.h"

namespace postern::tls {

class Pipe {
 public:
  enum class End {
    kOpen,
    kPeer,     // it ended the connection, or the connection broke
    kPlain,    // the plain side did, and the peer was told
    kRefused,  // what the peer sent may not pass
  };
  // Sees what the peer sends before it goes on; an error keeps it, and all after it.
  using Inspect = std::function<absl::Status(absl::string_view bytes)>;

  // `ssl` has finished its handshake on `socket`. `inspect` may be null.
  Pipe(SslPtr ssl, UniqueFd socket, UniqueFd plain, Inspect inspect);
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;

  // Moves what moves, of what the peer sends at most `budget` bytes and a record;
  // false where more could be moved at once. With 0 the peer is not read from.
  bool Move(size_t budget);

  End end() const { return end_; }
  // Of kRefused: what was said of it.
  const absl::Status& refusal() const { return refusal_; }
  // What to wait for, of poll(2); `may_read` as a budget above 0.
  short PeerEvents(bool may_read) const;
  short PlainEvents() const;
  int peer_fd() const { return socket_.get(); }
  int plain_fd() const { return plain_.get(); }

  uint64_t received() const { return received_; }  // bytes, from the peer
  uint64_t sent() const { return sent_; }
  // Whether the peer has yet to take something.
  bool unsent() const { return !to_peer_.empty(); }
  SSL& ssl() { return *ssl_; }

 private:
  // Each moves one step; whether it did.
  bool ReadPeer();
  bool WritePlain();
  bool ReadPlain();
  bool WritePeer();
  // OpenSSL calls it with each message of the protocol itself.
  static void SeeMessage(int sent, int version, int type, const void* bytes, size_t size, SSL* ssl,
                         void* pipe);
  // Of a call of OpenSSL that did not get through.
  void Await(int result, bool reading);

  UniqueFd socket_;
  UniqueFd plain_;
  SslPtr ssl_;  // goes before the socket it stands on
  const Inspect inspect_;
  absl::Status refusal_;
  std::vector<char> buffer_;
  std::string to_plain_;
  std::string to_peer_;
  // Directions that the last calls of OpenSSL waited for.
  short read_waits_ = 0;
  short write_waits_ = 0;
  int idle_messages_ = 0;  // of the protocol itself, since it sent the last byte
  bool peer_ended_ = false;
  bool plain_ended_ = false;
  End end_ = End::kOpen;
  uint64_t received_ = 0;
  uint64_t sent_ = 0;
};

}  // namespace postern::tls

#endif  // POSTERN_COMMON_TLS_PIPE_H_
