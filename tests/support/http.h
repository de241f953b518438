// SPDX-License-Identifier: Apache-2.0
// What asks a daemon for its metrics, and what asks it badly. IPv4 alone.
#ifndef POSTERN_TESTS_SUPPORT_HTTP_H_
#define POSTERN_TESTS_SUPPORT_HTTP_H_

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <string>
#include <utility>

#include "common/unique_fd.h"

namespace postern::support {

// Connected to "ADDRESS:PORT"; invalid where nobody listens. Reads give up after a while.
inline UniqueFd ConnectTo(const std::string& address) {
  UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const size_t colon = address.rfind(':');
  sockaddr_in at = {};
  at.sin_family = AF_INET;
  at.sin_port = htons(static_cast<uint16_t>(std::stoi(address.substr(colon + 1))));
  const timeval patience = {.tv_sec = 20, .tv_usec = 0};
  setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  if (inet_pton(AF_INET, address.substr(0, colon).c_str(), &at.sin_addr) != 1 ||
      connect(fd.get(), reinterpret_cast<const sockaddr*>(&at), sizeof(at)) != 0) {
    return UniqueFd();
  }
  return fd;
}

inline bool Send(const UniqueFd& fd, const std::string& text) {
  return send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL) ==
         static_cast<ssize_t>(text.size());
}

// All that comes until the other end closes.
inline std::string ReadAll(const UniqueFd& fd) {
  std::string all;
  char some[4096];
  for (ssize_t size; (size = read(fd.get(), some, sizeof(some))) > 0;) {
    all.append(some, static_cast<size_t>(size));
  }
  return all;
}

struct HttpAnswer {
  int status = 0;  // 0: there was none
  std::string head;
  std::string body;
};

inline HttpAnswer Ask(const std::string& address, const std::string& path,
                      const std::string& method = "GET") {
  const UniqueFd fd = ConnectTo(address);
  HttpAnswer answer;
  if (!fd.valid() || !Send(fd, method + " " + path + " HTTP/1.1\r\nHost: test\r\n\r\n")) {
    return answer;
  }
  const std::string all = ReadAll(fd);
  const size_t end = all.find("\r\n\r\n");
  if (all.rfind("HTTP/1.1 ", 0) != 0 || end == std::string::npos) return answer;
  answer.status = std::stoi(all.substr(9, 3));
  answer.head = all.substr(0, end);
  answer.body = all.substr(end + 4);
  return answer;
}

}  // namespace postern::support

#endif  // POSTERN_TESTS_SUPPORT_HTTP_H_
