// SPDX-License-Identifier: Apache-2.0
#include "common/metrics/server.h"

#include <CivetServer.h>
#include <arpa/inet.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/metrics/address.h"
#include "common/metrics/text.h"
#include "common/mutex.h"
#include "common/status.h"
#include "common/steady_clock.h"
#include "common/unique_fd.h"

namespace postern::metrics {
namespace {

// CivetWeb's, docs/UserManual.md. No document_root: there are no files to serve.
std::vector<std::string> ServerOptions(const std::string& address) {
  return {
      "listening_ports",    address,  //
      "num_threads",        "2",      //
      "connection_queue",   "8",      //
      "listen_backlog",     "8",      //
      "request_timeout_ms", "2000",   //
      "max_request_size",   "8192",  "enable_keep_alive", "no",
  };
}

// A daemon's own threads come first.
constexpr int kNice = 10;

struct Callbacks : CivetCallbacks {
  Callbacks() {
    init_thread = [](const mg_context*, int) -> void* {
      setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), kNice);
      return nullptr;
    };
  }
};

// Of a LoopbackAddress().
sockaddr_in SocketAddress(const std::string& address) {
  const size_t colon = address.find(':');
  sockaddr_in at = {};
  at.sin_family = AF_INET;
  inet_pton(AF_INET, address.substr(0, colon).c_str(), &at.sin_addr);
  uint32_t port = 0;
  if (absl::SimpleAtoi(address.substr(colon + 1), &port)) {
    at.sin_port = htons(static_cast<uint16_t>(port));
  }
  return at;
}

UniqueFd NewSocket() {
  return UniqueFd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

// CivetWeb does not say.
std::string WhyItCannotListen(const sockaddr_in& at) {
  const UniqueFd fd = NewSocket();
  const int on = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&at), sizeof(at)) == 0 &&
      listen(fd.get(), 1) == 0) {
    return "the HTTP server did not start";
  }
  return errno == EADDRINUSE ? "another program has that port"
                             : std::string(ErrnoStatus(errno, "bind").message());
}

class HttpServer final : public Server, private CivetHandler {
 public:
  HttpServer(Collect collect, absl::Duration fresh) : collect_(std::move(collect)), fresh_(fresh) {}
  ~HttpServer() override {
    if (http_ != nullptr) End();
  }

  absl::Status Begin(const std::string& address) {
    address_ = SocketAddress(address);
    try {
      http_ = std::make_unique<CivetServer>(ServerOptions(address), &callbacks_);
    } catch (const CivetException&) {
      return absl::UnavailableError(
          absl::StrCat("no metrics on ", address, ": ", WhyItCannotListen(address_)));
    }
    // Of exactly that path.
    http_->addHandler("/metrics$", this);
    return absl::OkStatus();
  }

 private:
  // CivetWeb looks every two seconds whether it is to end, and when somebody connects.
  void End() ABSL_LOCKS_EXCLUDED(end_mutex_) {
    std::thread knocker([this] {
      while (true) {
        const UniqueFd knock = NewSocket();
        // Refused or not: it wakes up.
        static_cast<void>(
            connect(knock.get(), reinterpret_cast<const sockaddr*>(&address_), sizeof(address_)));
        MutexLock lock(&end_mutex_);
        const auto ended = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(end_mutex_) { return ended_; };
        if (end_mutex_.AwaitFor(std::chrono::milliseconds(5), ended)) return;
      }
    });
    // Before what answers.
    http_.reset();
    {
      MutexLock lock(&end_mutex_);
      ended_ = true;
    }
    end_mutex_.NotifyAll();
    knocker.join();
  }

  bool handleGet(CivetServer*, mg_connection* connection) override {
    const absl::StatusOr<std::string> text = Text();
    const std::string body = text.ok() ? *text : absl::StrCat(text.status().message(), "\n");
    const std::string answer = absl::StrCat(
        "HTTP/1.1 ", text.ok() ? "200 OK" : "503 Service Unavailable",
        "\r\nContent-Type: text/plain; ", text.ok() ? "version=0.0.4; " : "",
        "charset=utf-8\r\nContent-Length: ", body.size(), "\r\nConnection: close\r\n\r\n", body);
    mg_write(connection, answer.data(), answer.size());
    return true;
  }

  absl::StatusOr<std::string> Text() ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(&mutex_);
    if (SteadyNow() < collected_ + fresh_) return text_;
    ASSIGN_OR_RETURN(const std::vector<Family> families, collect_());
    text_ = ToText(families);
    collected_ = SteadyNow();
    return text_;
  }

  const Collect collect_;
  const absl::Duration fresh_;
  const Callbacks callbacks_;
  sockaddr_in address_ = {};
  Mutex mutex_;
  std::string text_ ABSL_GUARDED_BY(mutex_);
  absl::Time collected_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  Mutex end_mutex_;
  bool ended_ ABSL_GUARDED_BY(end_mutex_) = false;
  std::unique_ptr<CivetServer> http_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const std::string& address, Collect collect,
                                                      absl::Duration fresh) {
  ASSIGN_OR_RETURN(const std::string loopback, LoopbackAddress(address));
  auto server = std::make_unique<HttpServer>(std::move(collect), fresh);
  RETURN_IF_ERROR(server->Begin(loopback));
  return std::unique_ptr<Server>(std::move(server));
}

}  // namespace postern::metrics
