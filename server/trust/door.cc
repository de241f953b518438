// SPDX-License-Identifier: Apache-2.0
#include "server/trust/door.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/log.h"
#include "common/status.h"
#include "common/tls/certificate.h"
#include "common/tls/pipe.h"
#include "common/tls/tunnel.h"
#include "server/trust/complaints.h"
#include "server/trust/identity.h"
#include "server/trust/message_watch.h"

namespace postern::server {
namespace {

constexpr size_t kBudget = size_t{1} << 20;

// Deadlines are looked at so often.
constexpr absl::Duration kTick = absl::Milliseconds(200);
constexpr absl::Duration kLookAtFiles = absl::Seconds(1);
constexpr absl::Duration kAcceptAgain = absl::Milliseconds(100);

// To show a certificate, or that there is none; and then, without one, to enrol.
constexpr absl::Duration kHandshake = absl::Seconds(10);
constexpr absl::Duration kStrangerStays = absl::Seconds(30);
// Agents send a heartbeat each minute. Operators may wait for an answer so long.
constexpr absl::Duration kSilence = absl::Minutes(5);
// To take what it is sent.
constexpr absl::Duration kStall = absl::Seconds(60);

// Who did not show a certificate, at a time: of all, the oldest gives way to the
// next; of one address, further ones are refused.
constexpr size_t kStrangers = 512;
constexpr size_t kStrangersOfOneAddress = 64;
// Connections of one address in a minute: a thousand agents behind one router.
constexpr int kConnectsAMinute = 1200;

// Of the files that the process may open: three for a connection (its own, and both
// ends of what gRPC is given); the rest is the store's and the unix sockets'.
constexpr rlim_t kFilesOfAConnection = 3;
constexpr rlim_t kFilesOfOthers = 900;
constexpr size_t kFewest = 16;

struct Connection {
  uint64_t id = 0;
  std::string address;
  absl::Time began;
  absl::Time heard;  // from it, or it took something, last
  // Since then it has not taken what is there for it; InfiniteFuture: it has.
  absl::Time stalled = absl::InfiniteFuture();
  // While the hands are shaken.
  UniqueFd socket;
  tls::SslPtr ssl;
  // Whose certificate it shows; that it also has the key is proven by the handshake's
  // end alone, and nothing may be held against anybody before.
  std::shared_ptr<const Bearer> claimed;
  std::string refusal;  // why its certificate was not taken
  // Afterwards.
  std::shared_ptr<const Bearer> bearer;
  std::unique_ptr<MessageWatch> watch;
  std::unique_ptr<tls::Pipe> pipe;
  int handed = -1;  // number of the socket that was handed over
  // What epoll watches; 0: nothing.
  uint32_t peer_events = 0;
  uint32_t plain_events = 0;

  int peer_fd() const { return pipe != nullptr ? pipe->peer_fd() : socket.get(); }
  SSL& tls() { return pipe != nullptr ? pipe->ssl() : *ssl; }
  bool stranger() const { return bearer == nullptr || !bearer->role.has_value(); }
  std::string Who() const {
    if (bearer == nullptr) return absl::StrCat("somebody at ", address);
    if (!bearer->role.has_value()) return bearer->Title();
    return absl::StrCat(bearer->Title(), " at ", address);
  }
};

// What a bearer may still send in this moment.
struct Allowance {
  double bytes = 0;
  absl::Time filled;
};

std::string AddressOf(const sockaddr_storage& peer, socklen_t size) {
  char host[NI_MAXHOST] = "?";
  getnameinfo(reinterpret_cast<const sockaddr*>(&peer), size, host, sizeof(host), nullptr, 0,
              NI_NUMERICHOST);
  return host;
}

// `wanted` connections, or as many as there are files for.
size_t Affordable(size_t wanted) {
  rlimit files = {};
  if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur == RLIM_INFINITY) return wanted;
  const rlim_t spare = files.rlim_cur > kFilesOfOthers ? files.rlim_cur - kFilesOfOthers : 0;
  const size_t most = std::max<size_t>(spare / kFilesOfAConnection, kFewest);
  if (wanted <= most) return wanted;
  LogWarning(
      "only %d connections over TLS at a time, not %d: each takes three files, and %d may "
      "be open; raise LimitNOFILE= (ulimit -n) or lower limits.connections",
      most, wanted, files.rlim_cur);
  return most;
}

absl::StatusOr<UniqueFd> ListenOn(const std::string& text) {
  ASSIGN_OR_RETURN(const tls::HostPort at, tls::ParseHostPort(text));
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE;
  addrinfo* found = nullptr;
  if (getaddrinfo(at.host.c_str(), at.port.c_str(), &hints, &found) != 0) {
    return absl::InvalidArgumentError(absl::StrCat("cannot listen on ", text, ": no address"));
  }
  const std::unique_ptr<addrinfo, tls::Free<freeaddrinfo>> address(found);
  UniqueFd fd(socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int on = 1;
  if (fd.valid()) setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  // So that "0.0.0.0" may stand beside "[::]".
  if (fd.valid() && address->ai_family == AF_INET6) {
    setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
  }
  if (!fd.valid() || bind(fd.get(), address->ai_addr, address->ai_addrlen) != 0 ||
      listen(fd.get(), SOMAXCONN) != 0) {
    return ErrnoStatus(errno, absl::StrCat("cannot listen on ", text));
  }
  return fd;
}

// A peer that is gone without a word is found out by the kernel.
void WatchForLoss(int fd) {
  const int on = 1;
  const int idle_seconds = 30;
  const int interval_seconds = 10;
  const int probes = 3;
  const unsigned int unacknowledged_ms = 60'000;
  setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_seconds, sizeof(idle_seconds));
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_seconds, sizeof(interval_seconds));
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
  setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacknowledged_ms, sizeof(unacknowledged_ms));
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

uint32_t ToEpoll(short events) {
  return ((events & POLLIN) != 0 ? static_cast<uint32_t>(EPOLLIN) : 0) |
         ((events & POLLOUT) != 0 ? static_cast<uint32_t>(EPOLLOUT) : 0);
}

class TlsDoor final : public Door {
 public:
  TlsDoor(const TrustConfig& config, Identity identity, Peers* peers, Conduct* conduct,
          Inside inside)
      : config_(config),
        most_(Affordable(config.connections)),
        identity_(std::move(identity)),
        peers_(*peers),
        conduct_(*conduct),
        inside_(std::move(inside)) {}
  ~TlsDoor() override {
    stop_ = true;
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = write(wake_.get(), &one, sizeof(one));
    if (thread_.joinable()) thread_.join();
    for (const auto& [id, connection] : connections_) Forget(*connection);
  }

  absl::Status Begin() {
    epoll_.reset(epoll_create1(EPOLL_CLOEXEC));
    wake_.reset(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!epoll_.valid() || !wake_.valid()) return ErrnoStatus(errno, "cannot wait for connections");
    Watch(EPOLL_CTL_ADD, wake_.get(), EPOLLIN, kWakeId);
    for (const std::string& address : config_.listen) {
      ASSIGN_OR_RETURN(UniqueFd fd, ListenOn(address));
      listening_.push_back(std::move(fd));
    }
    Listen(true);
    thread_ = std::thread([this] { Run(); });
    return absl::OkStatus();
  }

 private:
  // Ids in epoll: what listens, from 1; a connection's, and whether it is its plain side.
  static constexpr uint64_t kWakeId = 0;
  static constexpr uint64_t kFirstConnection = 1024;

  void Watch(int operation, int fd, uint32_t events, uint64_t id) const {
    epoll_event event = {};
    event.events = events;
    event.data.u64 = id;
    epoll_ctl(epoll_.get(), operation, fd, &event);
  }

  void Listen(bool on) {
    for (size_t i = 0; i < listening_.size(); ++i) {
      Watch(on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, listening_[i].get(), EPOLLIN, i + 1);
    }
    listens_ = on;
  }

  void Run() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, nullptr);
    absl::Time next_tick = absl::Now();
    while (!stop_) {
      epoll_event events[64];
      const int64_t wait_ms =
          more_.empty()
              ? std::max<int64_t>(0, absl::ToInt64Milliseconds(next_tick - absl::Now()) + 1)
              : 0;
      const int ready = epoll_wait(epoll_.get(), events, 64, static_cast<int>(wait_ms));
      now_ = absl::Now();
      for (const uint64_t id : std::exchange(more_, {})) Turn(id);
      for (int i = 0; i < ready; ++i) {
        const uint64_t id = events[i].data.u64;
        if (id == kWakeId) continue;
        if (id < kFirstConnection) {
          Accept(listening_[id - 1].get());
        } else {
          Turn(id / 2);
        }
      }
      if (now_ < next_tick) continue;
      Tick();
      next_tick = now_ + kTick;
    }
  }

  // What no event tells.
  void Tick() {
    if (!listens_ && now_ >= accept_again_) Listen(true);
    bool judge = false;
    if (now_ >= look_at_files_) {
      look_at_files_ = now_ + kLookAtFiles;
      judge = identity_.Refresh(now_);
    }
    if (const uint64_t changes = conduct_.changes(); changes != conduct_seen_) {
      conduct_seen_ = changes;
      judge = true;
    }
    if (now_ - minute_began_ >= absl::Minutes(1)) {
      minute_began_ = now_;
      connects_.clear();
      allowances_.clear();
    }
    std::vector<uint64_t> ids;
    ids.reserve(connections_.size());
    for (const auto& [id, connection] : connections_) ids.push_back(id);
    for (const uint64_t id : ids) Check(id, judge);
  }

  void Check(uint64_t id, bool judge) {
    Connection& connection = *connections_.at(id);
    const std::string why = Overdue(connection, judge);
    if (!why.empty()) return Cut(connection, why);
    // Those that were held back.
    if (connection.pipe != nullptr && connection.peer_events == 0) Turn(id);
  }

  // Why a connection may not go on; "" where it may.
  std::string Overdue(const Connection& connection, bool judge) const {
    if (connection.pipe == nullptr) {
      return now_ - connection.began < kHandshake
                 ? ""
                 : absl::StrCat("showed no certificate for ", absl::FormatDuration(kHandshake));
    }
    const Bearer& bearer = *connection.bearer;
    if (!bearer.role.has_value()) {
      return now_ - connection.began < kStrangerStays ? "" : "took too long to enrol";
    }
    if (now_ >= bearer.until) return "its certificate has expired";
    if (judge && IsRevoked(bearer)) return "its certificate was revoked";
    if (judge && conduct_.ShutOut(bearer)) return "it is shut out for a minute";
    if (now_ - connection.heard >= kSilence) {
      return absl::StrCat("was silent for ", absl::FormatDuration(kSilence));
    }
    if (now_ - connection.stalled >= kStall) {
      return absl::StrCat("did not read what it asked for, for ", absl::FormatDuration(kStall));
    }
    return "";
  }

  bool IsRevoked(const Bearer& bearer) const {
    return bearer.since <= identity_.revocations().RevokedUntil(*bearer.role, bearer.name);
  }

  void Cut(Connection& connection, const std::string& why) {
    complaints_.Say(now_, absl::StrCat(connection.Who(), why),
                    absl::StrCat(connection.Who(), " is cut off: ", why));
    Close(connection);
  }

  void Forget(Connection& connection) {
    if (connection.handed >= 0) peers_.Remove(connection.handed, connection.bearer);
    NoStranger(connection);
    if (!connection.stranger()) Lower(held_, connection.bearer->Title());
  }

  void NoStranger(const Connection& connection) {
    if (strangers_.erase(connection.id) > 0) Lower(strangers_of_, connection.address);
  }

  static void Lower(absl::flat_hash_map<std::string, size_t>& counts, const std::string& key) {
    const auto found = counts.find(key);
    if (found != counts.end() && --found->second == 0) counts.erase(found);
  }

  void Close(Connection& connection) {
    Forget(connection);
    connections_.erase(connection.id);
  }

  void Accept(int listening) {
    while (true) {
      sockaddr_storage peer = {};
      socklen_t size = sizeof(peer);
      UniqueFd fd(accept4(listening, reinterpret_cast<sockaddr*>(&peer), &size,
                          SOCK_CLOEXEC | SOCK_NONBLOCK));
      if (fd.valid()) {
        Admit(std::move(fd), AddressOf(peer, size));
        continue;
      }
      const int error = errno;
      if (error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM) {
        complaints_.Say(now_, "accept",
                        absl::StrCat("cannot accept connections, and tries again: ",
                                     std::string(ErrnoStatus(error, "accept").message())));
        Listen(false);
        accept_again_ = now_ + kAcceptAgain;
      }
      if (error != EINTR && error != ECONNABORTED) return;
    }
  }

  void Refuse(const std::string& who, const std::string& why) {
    complaints_.Say(now_, absl::StrCat(who, why), absl::StrCat(who, " is refused: ", why));
  }

  void Admit(UniqueFd fd, const std::string& address) {
    const std::string who = absl::StrCat("somebody at ", address);
    if (connections_.size() >= most_) {
      return Refuse(who,
                    absl::StrCat("there are ", most_, " connections; raise limits.connections"));
    }
    if (++connects_[address] > kConnectsAMinute) {
      return Refuse(who, absl::StrCat("more than ", kConnectsAMinute, " connections in a minute"));
    }
    const auto here = strangers_of_.find(address);
    if (here != strangers_of_.end() && here->second >= kStrangersOfOneAddress) {
      return Refuse(who, absl::StrCat(kStrangersOfOneAddress,
                                      " of its connections have shown no certificate"));
    }
    if (strangers_.size() >= kStrangers) {
      Cut(*connections_.at(*strangers_.begin()),
          "too many have shown no certificate, it the longest");
    }

    WatchForLoss(fd.get());
    auto connection = std::make_unique<Connection>();
    connection->id = next_id_++;
    connection->address = address;
    connection->began = now_;
    connection->socket = std::move(fd);
    SSL_CTX_set_cert_verify_callback(identity_.context(), Verify, nullptr);
    connection->ssl.reset(SSL_new(identity_.context()));
    if (connection->ssl == nullptr ||
        SSL_set_fd(connection->ssl.get(), connection->socket.get()) != 1) {
      ERR_clear_error();
      return;
    }
    SSL_set_app_data(connection->ssl.get(), connection.get());
    SSL_set_accept_state(connection->ssl.get());
    SSL_set_ex_data(connection->ssl.get(), DoorIndex(), this);
    const uint64_t id = connection->id;
    connections_.emplace(id, std::move(connection));
    strangers_.insert(id);
    ++strangers_of_[address];
    Turn(id);
  }

  void Turn(uint64_t id) {
    const auto found = connections_.find(id);
    if (found == connections_.end()) return;
    Connection& connection = *found->second;
    if (connection.pipe == nullptr && !ShakeHands(connection)) return;
    Carry(connection);
  }

  // Whether it is over and went well.
  bool ShakeHands(Connection& connection) {
    ERR_clear_error();
    const int done = SSL_do_handshake(connection.ssl.get());
    if (done == 1) return Welcome(connection);
    const int error = SSL_get_error(connection.ssl.get(), done);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
      SetPeerEvents(connection, error == SSL_ERROR_WANT_READ ? EPOLLIN : EPOLLOUT);
      return false;
    }
    const unsigned long reason = ERR_get_error();
    ERR_clear_error();
    const char* text = reason == 0 ? nullptr : ERR_reason_error_string(reason);
    std::string why = connection.refusal;
    if (why.empty()) {
      why = text == nullptr ? "it left before it had shown a certificate"
                            : absl::StrCat("no TLS 1.3 with it: ", text);
    }
    Refuse(connection.Who(), why);
    Close(connection);
    return false;
  }

  bool Welcome(Connection& connection) {
    if (connection.claimed != nullptr) {
      const std::string who = absl::StrCat(connection.claimed->Title(), " at ", connection.address);
      const std::string why = NoRoomFor(*connection.claimed);
      if (!why.empty() ||
          !conduct_.Allow(*connection.claimed, Conduct::kConnection, "a connection")) {
        Refuse(who, why.empty() ? "it came too often" : why);
        Close(connection);
        return false;
      }
      connection.bearer = connection.claimed;
      ++held_[connection.bearer->Title()];
      NoStranger(connection);
    } else {
      Bearer stranger;
      stranger.address = connection.address;
      stranger.until = absl::InfiniteFuture();
      connection.bearer = std::make_shared<const Bearer>(std::move(stranger));
    }
    int ends[2] = {};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0) {
      Cut(connection, std::string(ErrnoStatus(errno, "no socket for it").message()));
      return false;
    }
    UniqueFd handed(ends[1]);
    Watch(EPOLL_CTL_DEL, connection.socket.get(), 0, 0);
    connection.peer_events = 0;
    connection.watch =
        std::make_unique<MessageWatch>(inside_.max_message_bytes(connection.bearer->role));
    connection.pipe = std::make_unique<tls::Pipe>(
        std::move(connection.ssl), std::move(connection.socket), UniqueFd(ends[0]),
        [watch = connection.watch.get()](absl::string_view bytes) { return watch->See(bytes); });
    connection.handed = handed.get();
    connection.heard = now_;
    peers_.Add(connection.handed, connection.bearer);
    inside_.take(connection.bearer->role, std::move(handed));
    return true;
  }

  void Carry(Connection& connection) {
    const Bearer& bearer = *connection.bearer;
    Allowance& allowance = AllowanceOf(bearer);
    const bool allowed = allowance.bytes >= 1;
    if (!allowed) {
      complaints_.Say(
          now_, absl::StrCat(bearer.Title(), "rate"),
          absl::StrCat(connection.Who(), " is held back: it sends more than ",
                       config_.bytes_per_second, " bytes a second (limits.bytes_per_second)"));
    }
    tls::Pipe& pipe = *connection.pipe;
    const uint64_t received = pipe.received();
    const uint64_t sent = pipe.sent();
    const size_t budget = allowed ? std::min(kBudget, static_cast<size_t>(allowance.bytes)) : 0;
    if (!pipe.Move(budget)) more_.push_back(connection.id);
    if (pipe.received() != received) {
      allowance.bytes -= static_cast<double>(pipe.received() - received);
      connection.heard = now_;
    }
    if (pipe.sent() != sent) connection.heard = now_;
    if (!pipe.unsent()) {
      connection.stalled = absl::InfiniteFuture();
    } else if (pipe.sent() != sent || connection.stalled == absl::InfiniteFuture()) {
      connection.stalled = now_;
    }
    if (const int opened = connection.watch->TakeOpened(); opened > 0 && !connection.stranger()) {
      // Where that is too much, the next tick cuts all of its connections.
      conduct_.Allow(bearer, opened * Conduct::kStream, "a stream");
    }
    if (pipe.end() == tls::Pipe::End::kRefused) {
      return Offended(connection, std::string(pipe.refusal().message()));
    }
    if (pipe.end() == tls::Pipe::End::kPlain && !connection.stranger()) {
      // gRPC leaves first only where its peer broke the protocol.
      return Offended(connection, "what it sent breaks the rules of HTTP/2");
    }
    if (pipe.end() != tls::Pipe::End::kOpen) return Close(connection);
    SetPeerEvents(connection, ToEpoll(pipe.PeerEvents(/*may_read=*/allowed)));
    SetPlainEvents(connection, ToEpoll(pipe.PlainEvents()));
  }

  void Offended(Connection& connection, const std::string& why) {
    if (!connection.stranger()) conduct_.Allow(*connection.bearer, Conduct::kGarbage, "garbage");
    Cut(connection, why);
  }

  Allowance& AllowanceOf(const Bearer& bearer) {
    // Without a certificate: by address, and a hundredth of it, which is plenty.
    const double rate =
        static_cast<double>(config_.bytes_per_second) / (bearer.role.has_value() ? 1 : 100);
    const auto [found, first] = allowances_.try_emplace(bearer.Title());
    Allowance& allowance = found->second;
    if (first) {
      allowance = {.bytes = rate, .filled = now_};
    } else {
      allowance.bytes =
          std::min(rate, allowance.bytes + rate * absl::ToDoubleSeconds(now_ - allowance.filled));
      allowance.filled = now_;
    }
    return allowance;
  }

  void SetEvents(int fd, uint64_t id, uint32_t& watched, uint32_t events) {
    if (watched == events) return;
    // Watched for nothing, it would still tell again and again that the peer left.
    Watch(watched == 0  ? EPOLL_CTL_ADD
          : events == 0 ? EPOLL_CTL_DEL
                        : EPOLL_CTL_MOD,
          fd, events, id);
    watched = events;
  }
  void SetPeerEvents(Connection& connection, uint32_t events) {
    SetEvents(connection.peer_fd(), connection.id * 2, connection.peer_events, events);
  }
  void SetPlainEvents(Connection& connection, uint32_t events) {
    SetEvents(connection.pipe->plain_fd(), connection.id * 2 + 1, connection.plain_events, events);
  }

 public:
  // OpenSSL asks whether a certificate is to be taken.
  static int Verify(X509_STORE_CTX* check, void*) {
    auto* ssl =
        static_cast<SSL*>(X509_STORE_CTX_get_ex_data(check, SSL_get_ex_data_X509_STORE_CTX_idx()));
    auto& door = *static_cast<TlsDoor*>(SSL_get_ex_data(ssl, DoorIndex()));
    return door.Judge(check, *static_cast<Connection*>(SSL_get_app_data(ssl))) ? 1 : 0;
  }

 private:
  static int DoorIndex() {
    static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
    return index;
  }

  // Why not one more connection; "" where there is room.
  std::string NoRoomFor(const Bearer& bearer) const {
    const size_t most =
        config_.connections_per_agent * (bearer.role == pki::Role::kOperator ? 2 : 1);
    const auto held = held_.find(bearer.Title());
    if (held == held_.end() || held->second < most) return "";
    return absl::StrCat(bearer.Title(), " holds ", most,
                        " connections (limits.connections_per_agent)");
  }

  bool Judge(X509_STORE_CTX* check, Connection& connection) {
    X509* certificate = X509_STORE_CTX_get0_cert(check);
    const auto refuse = [&](int error, const std::string& why) {
      connection.refusal = why;
      X509_STORE_CTX_set_error(check, error);
      return false;
    };
    if (X509_verify_cert(check) != 1) {
      const int error = X509_STORE_CTX_get_error(check);
      // Names of a certificate that proves nothing are only what somebody claims.
      connection.refusal = absl::StrCat(
          "its certificate (it says '", absl::CHexEscape(tls::NamesOf(*certificate).common_name),
          "') is not believed: ", X509_verify_cert_error_string(error));
      return false;
    }
    std::optional<Bearer> bearer = BearerOf(*certificate, config_.roles);
    if (!bearer.has_value()) {
      return refuse(X509_V_ERR_APPLICATION_VERIFICATION,
                    absl::StrCat("its certificate '", tls::NamesOf(*certificate).common_name,
                                 "' has no role here; 'roles' in the configuration may give it "
                                 "one"));
    }
    bearer->address = connection.address;
    const std::string title = bearer->Title();
    if (IsRevoked(*bearer)) {
      return refuse(X509_V_ERR_CERT_REVOKED,
                    absl::StrCat("the certificate of ", title, " was revoked"));
    }
    if (conduct_.ShutOut(*bearer)) {
      return refuse(X509_V_ERR_APPLICATION_VERIFICATION, absl::StrCat(title, " is shut out"));
    }
    if (const std::string why = NoRoomFor(*bearer); !why.empty()) {
      return refuse(X509_V_ERR_APPLICATION_VERIFICATION, why);
    }
    connection.claimed = std::make_shared<const Bearer>(*std::move(bearer));
    return true;
  }

  const TrustConfig config_;
  const size_t most_;  // connections
  Identity identity_;
  Peers& peers_;
  Conduct& conduct_;
  const Inside inside_;
  std::vector<UniqueFd> listening_;
  UniqueFd epoll_;
  UniqueFd wake_;
  std::atomic<bool> stop_ = false;

  // The thread's own.
  absl::Time now_;
  bool listens_ = false;
  std::vector<uint64_t> more_;  // whose turn ended before all was moved
  absl::Time accept_again_;
  absl::Time look_at_files_;
  absl::Time minute_began_;
  uint64_t conduct_seen_ = 0;
  uint64_t next_id_ = kFirstConnection;
  Complaints complaints_;
  absl::flat_hash_map<std::string, int> connects_;  // of this minute, by address
  absl::flat_hash_map<std::string, Allowance> allowances_;
  absl::flat_hash_map<std::string, size_t> held_;  // connections, by title
  // Who has shown no certificate yet, from the oldest on, and how many by address.
  std::set<uint64_t> strangers_;
  absl::flat_hash_map<std::string, size_t> strangers_of_;
  // From the oldest on.
  std::map<uint64_t, std::unique_ptr<Connection>> connections_;
  std::thread thread_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Door>> Door::Open(const TrustConfig& config, Peers* peers,
                                                 Conduct* conduct, Inside inside) {
  ASSIGN_OR_RETURN(Identity identity, Identity::Load(config));
  auto door =
      std::make_unique<TlsDoor>(config, std::move(identity), peers, conduct, std::move(inside));
  RETURN_IF_ERROR(door->Begin());
  return std::unique_ptr<Door>(std::move(door));
}

}  // namespace postern::server
