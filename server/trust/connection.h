// SPDX-License-Identifier: Apache-2.0
// One connection over TLS, from its first byte on: the handshake, then its bytes to and
// from a plain socket, and whether it keeps its deadlines. It never blocks, and judges
// nobody. For one thread, in which SIGPIPE is blocked; `now` is SteadyNow().
#ifndef POSTERN_SERVER_TRUST_CONNECTION_H_
#define POSTERN_SERVER_TRUST_CONNECTION_H_

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/tls/pipe.h"
#include "common/unique_fd.h"
#include "server/trust/judge.h"
#include "server/trust/message_watch.h"

namespace postern::server {

class Connection {
 public:
  // To show a certificate, or that there is none; and then, without one, to enrol.
  static constexpr absl::Duration kHandshake = absl::Seconds(10);
  static constexpr absl::Duration kStrangerStays = absl::Seconds(30);
  // Agents send a heartbeat each minute. Operators may wait for an answer so long.
  static constexpr absl::Duration kSilence = absl::Minutes(5);
  // To take what it is sent.
  static constexpr absl::Duration kStall = absl::Seconds(60);
  // Who enrols needs one, and another try or two.
  static constexpr int kStreamsOfAStranger = 16;

  // Null where there is no memory for it. `judge` outlives it.
  static std::unique_ptr<Connection> Begin(UniqueFd socket, const std::string& address,
                                           const Judge& judge, absl::Time now);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // True: it is over and went well. False: it waits for its peer. Or why it failed.
  absl::StatusOr<bool> ShakeHands();
  // Where it failed: on which grounds.
  Grounds grounds() const { return claim_.grounds; }
  // Then: whose certificate it showed; null: none.
  const std::shared_ptr<const Bearer>& shown() const { return claim_.bearer; }
  // Begins to carry as `bearer`. The plain socket's other end.
  absl::StatusOr<UniqueFd> Open(std::shared_ptr<const Bearer> bearer, size_t max_message_bytes,
                                absl::Time now);

  // Null before Open().
  const std::shared_ptr<const Bearer>& bearer() const { return bearer_; }
  bool open() const { return pipe_ != nullptr; }
  bool stranger() const { return bearer_ == nullptr || !bearer_->role.has_value(); }
  // After Open().
  SSL& tls() const { return pipe_->ssl(); }
  const std::string& address() const { return claim_.address; }
  // As it stands in the log.
  std::string Who() const;

  struct Carried {
    size_t received = 0;  // bytes
    int streams = 0;      // that it opened
    bool more = false;    // could be moved at once
  };
  // Takes at most `budget` bytes and a record from the peer.
  Carried Carry(size_t budget, absl::Time now);

  struct Ending {
    std::string why;       // "": its peer left
    bool offence = false;  // by what the peer sent
  };
  // Where Carry() came to an end.
  std::optional<Ending> Ended(absl::Time now) const;
  // Which deadline it missed; "" for none.
  std::string Overdue(absl::Time now) const;

  // What to wait for, of poll(2).
  short PeerEvents(bool may_read) const { return open() ? pipe_->PeerEvents(may_read) : waits_; }
  short PlainEvents() const { return open() ? pipe_->PlainEvents() : short{0}; }
  int peer_fd() const { return open() ? pipe_->peer_fd() : socket_.get(); }
  int plain_fd() const { return open() ? pipe_->plain_fd() : -1; }

 private:
  Connection(UniqueFd socket, const std::string& address, absl::Time now)
      : began_(now), socket_(std::move(socket)), claim_{.address = address} {}

  const absl::Time began_;
  // While the hands are shaken.
  UniqueFd socket_;
  Judge::Claim claim_;
  tls::SslPtr ssl_;
  short waits_ = 0;
  // Afterwards.
  std::shared_ptr<const Bearer> bearer_;
  std::unique_ptr<MessageWatch> watch_;
  std::unique_ptr<tls::Pipe> pipe_;
  int streams_ = 0;
  absl::Time received_;  // from it, last
  absl::Time took_;      // it took something, last
  // Since then it has not taken what is there for it; InfiniteFuture: it has.
  absl::Time stalled_ = absl::InfiniteFuture();
};

}  // namespace postern::server

#endif  // POSTERN_SERVER_TRUST_CONNECTION_H_
