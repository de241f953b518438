// SPDX-License-Identifier: Apache-2.0
// A connection to a server over TLS, as a plain socket of this process: what is
// written there arrives there. A thread of its own looks the name up, connects,
// checks who answers, and carries from then on, so that whoever uses the socket
// never waits for any of it; and why it did not work, or ended, is known in words.
#ifndef POSTERN_COMMON_TLS_TUNNEL_H_
#define POSTERN_COMMON_TLS_TUNNEL_H_

#include <memory>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/mutex.h"
#include "common/tls/openssl.h"
#include "common/unique_fd.h"

namespace postern::tls {

// "web1.example.net:7425", "192.0.2.1:7425", "[2001:db8::1]:7425".
struct HostPort {
  std::string host;  // without brackets
  std::string port;
};
// InvalidArgument where it is none.
absl::StatusOr<HostPort> ParseHostPort(const std::string& address);

class Tunnel {
 public:
  // Of a name's look-up, of connecting and of the handshake, each.
  static constexpr absl::Duration kPatience = absl::Seconds(10);

  // `name` stands for the server in messages ("the collector at HOST:PORT").
  static absl::StatusOr<std::unique_ptr<Tunnel>> Start(std::string name, HostPort server,
                                                       ContextPtr context);
  // Ends the connection. A name that is being looked up is waited for.
  ~Tunnel();
  Tunnel(const Tunnel&) = delete;
  Tunnel& operator=(const Tunnel&) = delete;

  // The near end, does not block; once.
  UniqueFd TakeEnd() { return std::move(near_); }

  // Until the server has sent its first byte, which it does once it has taken our
  // certificate; or why there is no connection.
  absl::Status WaitUntilAnswered();
  // Why it ended before it was answered; OK while it lives, or lived.
  absl::Status failure() const;

 private:
  Tunnel(std::string name, HostPort server, ContextPtr context);

  void Run(UniqueFd far);
  absl::StatusOr<UniqueFd> Connect();
  absl::Status ShakeHands(SSL& ssl, int fd);
  absl::Status AwaitAnswer(SSL& ssl, int fd);
  // Of poll(2) on `fd`, or Cancelled, or DeadlineExceeded; `deadline` by SteadyNow().
  absl::Status Wait(int fd, short events, absl::Time deadline) const;
  void Say(absl::Status outcome);

  const std::string name_;
  const HostPort server_;
  const ContextPtr context_;
  UniqueFd near_;
  UniqueFd stop_;  // an eventfd(2)
  mutable Mutex mutex_;
  bool decided_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status outcome_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace postern::tls

#endif  // POSTERN_COMMON_TLS_TUNNEL_H_
