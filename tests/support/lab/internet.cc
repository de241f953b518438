// SPDX-License-Identifier: Apache-2.0
#include "tests/support/lab/internet.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <pwd.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <thread>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/support/lab/files.h"

namespace postern::lab {

using support::Eventually;
namespace {

constexpr int kPorts[] = {25, 465, 587};

void Ip(const std::string& words) {
  std::vector<std::string> command = absl::StrSplit("ip " + words, ' ');
  const support::Finished ip = support::RunToEnd(command);
  EXPECT_EQ(ip.exit_code, 0) << "ip " << words << ": " << ip.error;
}

}  // namespace

std::string Internet::NamespaceName(pid_t owner) { return absl::StrCat("postern-e2e-", owner); }

Internet::Internet(const std::string& root) : root_(root) {
  const pid_t pid = getpid();
  const int net = pid % 250 + 2;
  namespace_ = NamespaceName(pid);
  link_ = absl::StrCat("pe2e", pid);
  const std::string v4_net = absl::StrCat("10.77.", net, ".");
  const std::string v6_net = absl::StrCat("fd00:77:", net, "::");
  own_v4_ = v4_net + "1";
  v4_ = v4_net + "2";
  own_v6_ = v6_net + "1";
  v6_ = v6_net + "2";
  std::filesystem::create_directories(root_);
  Ip("netns add " + namespace_);
  Ip(absl::StrCat("link add ", link_, " type veth peer name eth0 netns ", namespace_));
  Ip(absl::StrCat("address add ", own_v4_, "/24 dev ", link_));
  Ip(absl::StrCat("-6 address add ", own_v6_, "/64 dev ", link_, " nodad"));
  Ip(absl::StrCat("link set ", link_, " up"));
  Ip(absl::StrCat("-n ", namespace_, " address add ", v4_, "/24 dev eth0"));
  Ip(absl::StrCat("-n ", namespace_, " -6 address add ", v6_, "/64 dev eth0 nodad"));
  Ip(absl::StrCat("-n ", namespace_, " link set eth0 up"));
  Ip(absl::StrCat("-n ", namespace_, " link set lo up"));

  const std::string mails = root_ + "/mails";
  std::filesystem::create_directories(mails);
  const passwd* nobody = getpwnam("nobody");
  EXPECT_TRUE(nobody != nullptr && chown(mails.c_str(), nobody->pw_uid, nobody->pw_gid) == 0);
  for (const std::string& host : {v4_, absl::StrCat("[", v6_, "]")}) {
    for (const int port : kPorts) {
      sinks_.push_back(
          Process::Start({"ip", "netns", "exec", namespace_, "smtp-sink", "-c", "-u", "nobody",
                          "-d", mails + "/%s.", absl::StrCat("inet:", host, ":", port), "4096"}));
    }
  }
  EXPECT_TRUE(Eventually([&] {
    const std::string listeners =
        support::RunToEnd({"ip", "netns", "exec", namespace_, "ss", "-Hltn"}).output;
    return std::count(listeners.begin(), listeners.end(), '\n') ==
           static_cast<std::ptrdiff_t>(sinks_.size());
  })) << "smtp-sink does not listen: "
      << sinks_[0]->Error();
}

Internet::~Internet() {
  sinks_.clear();
  Ip("netns delete " + namespace_);
  // The link goes with the namespace, but not at once.
  EXPECT_TRUE(Eventually([&] { return access(("/sys/class/net/" + link_).c_str(), F_OK) != 0; }));
}

void Internet::SetLink(bool up) { Ip(absl::StrCat("link set ", link_, up ? " up" : " down")); }

UniqueFd Internet::Listen(int port) const {
  UniqueFd listening;
  // A namespace is that of a thread; a socket stays where it was made.
  std::thread inside([&] {
    const UniqueFd there(
        open(absl::StrCat("/run/netns/", namespace_).c_str(), O_RDONLY | O_CLOEXEC));
    if (!there.valid() || setns(there.get(), CLONE_NEWNET) != 0) return;
    UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    const bool bound =
        bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
    if (bound && listen(fd.get(), SOMAXCONN) == 0) listening = std::move(fd);
  });
  inside.join();
  EXPECT_TRUE(listening.valid()) << "port " << port << " of " << namespace_;
  return listening;
}

size_t Internet::Received(const std::string& token) const {
  size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(root_ + "/mails")) {
    if (absl::StrContains(ReadFile(entry.path()), token)) ++count;
  }
  return count;
}

}  // namespace postern::lab
