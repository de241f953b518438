// SPDX-License-Identifier: Apache-2.0
#include "server/trust/door.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/status.h"
#include "common/steady_clock.h"
#include "server/trust/admission.h"
#include "server/trust/allowance.h"
#include "server/trust/complaints.h"
#include "server/trust/connection.h"
#include "server/trust/identity.h"
#include "server/trust/judge.h"
#include "server/trust/listening.h"

namespace postern::server {
namespace {

// Of one connection's turn, of which it may have as many as there are for all.
constexpr size_t kBudget = size_t{1} << 20;
constexpr int kAcceptsOfATurn = 64;

// Deadlines are looked at so often.
constexpr absl::Duration kTick = absl::Milliseconds(200);
constexpr absl::Duration kLookAtFiles = absl::Seconds(1);
constexpr absl::Duration kPrune = absl::Minutes(1);
constexpr absl::Duration kAcceptAgain = absl::Milliseconds(100);

// Without a certificate one may send a hundredth as much, which is plenty.
constexpr uint64_t kStrangersShare = 100;

uint32_t ToEpoll(short events) {
  return ((events & POLLIN) != 0 ? static_cast<uint32_t>(EPOLLIN) : 0) |
         ((events & POLLOUT) != 0 ? static_cast<uint32_t>(EPOLLOUT) : 0);
}

// A connection, and what the loop knows of it.
struct Guest {
  uint64_t id = 0;
  std::string source;
  std::unique_ptr<Connection> connection;
  int handed = -1;  // number of the socket that was handed over
  // What epoll watches; 0: nothing.
  uint32_t peer_events = 0;
  uint32_t plain_events = 0;
};

class TlsDoor final : public Door {
 public:
  TlsDoor(const TrustConfig& config, Identity identity, Peers* peers, Conduct* conduct,
          Figures* figures, Inside inside)
      : config_(config),
        identity_(std::move(identity)),
        peers_(*peers),
        conduct_(*conduct),
        figures_(*figures),
        inside_(std::move(inside)) {}
  ~TlsDoor() override {
    stop_ = true;
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = write(wake_.get(), &one, sizeof(one));
    if (thread_.joinable()) thread_.join();
    while (!guests_.empty()) Close(guests_.begin()->second);
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
  static constexpr uint64_t kFirstGuest = 1024;

  void Run() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, nullptr);
    absl::Time next_tick = SteadyNow();
    while (!stop_) {
      epoll_event events[64];
      const absl::Duration wait = std::max(next_tick - SteadyNow(), absl::ZeroDuration());
      const int ready =
          epoll_wait(epoll_.get(), events, 64,
                     more_.empty() ? static_cast<int>(absl::ToInt64Milliseconds(wait)) + 1 : 0);
      now_ = SteadyNow();
      for (const uint64_t id : std::exchange(more_, {})) Turn(id);
      for (int i = 0; i < ready; ++i) {
        const uint64_t id = events[i].data.u64;
        if (id == kWakeId) continue;
        if (id < kFirstGuest) {
          AcceptFrom(listening_[id - 1].get());
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
    const absl::Time wall = absl::Now();
    bool files_changed = false;
    if (now_ >= look_at_files_) {
      look_at_files_ = now_ + kLookAtFiles;
      files_changed = identity_.Refresh(now_, wall);
    }
    const uint64_t shut_out = conduct_.changes();
    const bool shuts_out = std::exchange(conduct_seen_, shut_out) != shut_out;
    if (now_ >= prune_) {
      prune_ = now_ + kPrune;
      allowance_.Prune(now_);
      strangers_allowance_.Prune(now_);
    }
    for (auto next = guests_.begin(); next != guests_.end();) {
      // It may be gone afterwards.
      Guest& guest = (next++)->second;
      Judge::Objection objection = {guest.connection->Overdue(now_), Grounds::kDeadline};
      if (objection.why.empty() && !guest.connection->stranger()) {
        const Bearer& bearer = *guest.connection->bearer();
        if (wall >= bearer.until) {
          objection = {"its certificate has expired", Grounds::kExpired};
        } else if (shuts_out && conduct_.ShutOut(bearer)) {
          objection = {"it is shut out for a minute", Grounds::kShutOut};
        } else if (files_changed) {
          objection = judge_.ObjectTo(bearer, guest.connection->tls());
        }
      }
      if (!objection.why.empty()) {
        Cut(guest, objection.grounds, objection.why);
      } else if (guest.connection->open() && guest.peer_events == 0) {
        // It may have been held back.
        Turn(guest.id);
      }
    }
  }

  void AcceptFrom(int listening) {
    for (int i = 0; i < kAcceptsOfATurn; ++i) {
      absl::StatusOr<std::optional<Caller>> caller = Accept(listening);
      if (!caller.ok()) {
        complaints_.Say(now_, "accept",
                        absl::StrCat("cannot accept connections, and tries again: ",
                                     std::string(caller.status().message())));
        Listen(false);
        accept_again_ = now_ + kAcceptAgain;
        return;
      }
      if (!caller->has_value()) return;
      Admit(**std::move(caller));
    }
  }

  void Admit(Caller caller) {
    const std::string source = SourceOf(caller.address);
    if (const std::string why = admission_.Refusal(source, now_); !why.empty()) {
      return Refuse(absl::StrCat("somebody at ", caller.address), Grounds::kTooMany, why);
    }
    if (const auto leaves = admission_.GivesWay(source); leaves.has_value()) {
      Cut(guests_.at(leaves->id), Grounds::kTooMany, leaves->why);
    }
    auto connection = Connection::Begin(std::move(caller.socket), caller.address, judge_, now_);
    if (connection == nullptr) return;
    const uint64_t id = next_id_++;
    admission_.Enter(id, source);
    guests_.emplace(id, Guest{.id = id, .source = source, .connection = std::move(connection)});
    Turn(id);
  }

  void Turn(uint64_t id) {
    const auto found = guests_.find(id);
    if (found == guests_.end()) return;
    Guest& guest = found->second;
    if (guest.connection->open() || Welcome(guest)) Carry(guest);
  }

  // Whether the handshake is over, and it may come in.
  bool Welcome(Guest& guest) {
    Connection& connection = *guest.connection;
    const absl::StatusOr<bool> shaken = connection.ShakeHands();
    if (shaken.ok() && !*shaken) {
      Await(guest, /*may_read=*/true);
      return false;
    }
    std::string why(shaken.status().message());
    Grounds grounds = connection.grounds();
    std::string who = connection.Who();
    std::shared_ptr<const Bearer> bearer = connection.shown();
    if (why.empty() && bearer != nullptr) {
      who = absl::StrCat(bearer->Title(), " at ", bearer->address);
      why = admission_.Refusal(*bearer);
      grounds = Grounds::kTooMany;
      if (why.empty() && !conduct_.Allow(*bearer, Conduct::kConnection, "a connection")) {
        why = "it came too often";
        grounds = Grounds::kShutOut;
      }
    }
    if (!why.empty()) {
      Refuse(who, grounds, why);
      Close(guest);
      return false;
    }
    if (bearer != nullptr) {
      admission_.Identify(guest.id, *bearer);
    } else {
      Bearer stranger;
      stranger.address = connection.address();
      bearer = std::make_shared<const Bearer>(std::move(stranger));
    }
    absl::StatusOr<UniqueFd> handed =
        connection.Open(bearer, inside_.max_message_bytes(bearer->role), now_);
    if (!handed.ok()) {
      // There are more than there are descriptors for.
      Cut(guest, Grounds::kTooMany, std::string(handed.status().message()));
      return false;
    }
    guest.handed = handed->get();
    peers_.Add(guest.handed, bearer);
    inside_.take(bearer->role, *std::move(handed));
    return true;
  }

  void Carry(Guest& guest) {
    Connection& connection = *guest.connection;
    const Bearer& bearer = *connection.bearer();
    Allowance& allowance = connection.stranger() ? strangers_allowance_ : allowance_;
    const std::string who = connection.stranger() ? guest.source : bearer.Title();
    const size_t budget = allowance.Of(who, kBudget, now_);
    if (budget == 0) {
      complaints_.Say(
          now_, absl::StrCat(who, "rate"),
          absl::StrCat(connection.Who(), " is held back: it sends more than ",
                       allowance.bytes_per_second(), " bytes a second (limits.bytes_per_second)"));
    }
    const Connection::Carried carried = connection.Carry(budget, now_);
    allowance.Spend(who, carried.received, now_);
    if (carried.more) more_.insert(guest.id);
    if (carried.streams > 0 && !connection.stranger()) {
      // Where that is too much, the next tick cuts all of its connections.
      conduct_.Allow(bearer, carried.streams * Conduct::kStream, "a stream");
    }
    if (const auto ended = connection.Ended(now_); ended.has_value()) {
      if (ended->offence && !connection.stranger()) {
        conduct_.Allow(bearer, Conduct::kGarbage, "garbage");
      }
      if (ended->why.empty()) return Close(guest);
      return Cut(guest, ended->offence ? Grounds::kGarbage : Grounds::kDeadline, ended->why);
    }
    Await(guest, /*may_read=*/budget > 0);
  }

  void Refuse(const std::string& who, Grounds grounds, const std::string& why) {
    figures_.TurnedAway(grounds);
    complaints_.Say(now_, absl::StrCat(who, why), absl::StrCat(who, " is refused: ", why));
  }

  void Cut(Guest& guest, Grounds grounds, const std::string& why) {
    figures_.TurnedAway(grounds);
    const std::string who = guest.connection->Who();
    complaints_.Say(now_, absl::StrCat(who, why), absl::StrCat(who, " is cut off: ", why));
    Close(guest);
  }

  void Close(Guest& guest) {
    if (guest.handed >= 0) peers_.Remove(guest.handed, guest.connection->bearer());
    admission_.Leave(guest.id);
    guests_.erase(guest.id);
  }

  void Listen(bool on) {
    for (size_t i = 0; i < listening_.size(); ++i) {
      Watch(on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, listening_[i].get(), EPOLLIN, i + 1);
    }
    listens_ = on;
  }

  void Await(Guest& guest, bool may_read) {
    const Connection& connection = *guest.connection;
    SetEvents(connection.peer_fd(), guest.id * 2, guest.peer_events,
              ToEpoll(connection.PeerEvents(may_read)));
    SetEvents(connection.plain_fd(), guest.id * 2 + 1, guest.plain_events,
              ToEpoll(connection.PlainEvents()));
  }

  void SetEvents(int fd, uint64_t id, uint32_t& watched, uint32_t events) const {
    if (watched == events) return;
    // Watched for nothing, it would still tell again and again that the peer left.
    Watch(watched == 0  ? EPOLL_CTL_ADD
          : events == 0 ? EPOLL_CTL_DEL
                        : EPOLL_CTL_MOD,
          fd, events, id);
    watched = events;
  }

  void Watch(int operation, int fd, uint32_t events, uint64_t id) const {
    epoll_event event = {};
    event.events = events;
    event.data.u64 = id;
    epoll_ctl(epoll_.get(), operation, fd, &event);
  }

  const TrustConfig config_;
  Identity identity_;
  Peers& peers_;
  Conduct& conduct_;
  Figures& figures_;
  const Inside inside_;
  std::vector<UniqueFd> listening_;
  UniqueFd epoll_;
  UniqueFd wake_;
  std::atomic<bool> stop_ = false;

  // The thread's own. Its clock is one that nobody sets: the wall clock says only
  // which certificates are valid.
  absl::Time now_;
  absl::Time accept_again_ = absl::InfinitePast();
  absl::Time look_at_files_ = absl::InfinitePast();
  absl::Time prune_ = absl::InfinitePast();
  bool listens_ = false;
  uint64_t conduct_seen_ = 0;
  uint64_t next_id_ = kFirstGuest;
  Complaints complaints_;
  Allowance allowance_{config_.bytes_per_second};
  Allowance strangers_allowance_{config_.bytes_per_second / kStrangersShare};
  Admission admission_{AffordableConnections(config_.connections), config_.connections_per_agent};
  const Judge judge_{config_.roles, identity_, conduct_, admission_};
  absl::flat_hash_set<uint64_t> more_;  // whose turn ended before all was moved
  std::map<uint64_t, Guest> guests_;    // from the oldest on
  std::thread thread_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Door>> Door::Open(const TrustConfig& config, Peers* peers,
                                                 Conduct* conduct, Figures* figures,
                                                 Inside inside) {
  ASSIGN_OR_RETURN(Identity identity, Identity::Load(config));
  auto door = std::make_unique<TlsDoor>(config, std::move(identity), peers, conduct, figures,
                                        std::move(inside));
  RETURN_IF_ERROR(door->Begin());
  return std::unique_ptr<Door>(std::move(door));
}

}  // namespace postern::server
