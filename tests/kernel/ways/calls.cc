// SPDX-License-Identifier: Apache-2.0
#include "tests/kernel/ways/way.h"

namespace postern::testing::ways {
namespace {

constexpr char kBot[] = "denied by default: uid 33, connect, exec";

// The bot, with these options.
Way Bot(const char* id, const char* title, std::vector<std::string> options,
        const char* feature = "") {
  std::vector<std::string> line = {"{attacks}/connect", "--uid=33"};
  line.insert(line.end(), options.begin(), options.end());
  line.insert(line.end(), {"{to}", "{port}"});
  return {.id = id,
          .title = title,
          .line = line,
          .policy = &kNobody,
          .without = kPasses,
          .with = kRefused,
          .recorded = kBot,
          .feature = feature};
}

}  // namespace

const Policy kNobody = {.shown = "nobody", .honest = {}};

std::vector<Way> Calls() {
  std::vector<Way> ways = {
      Bot("Connect", "connect()", {}),
      Bot("NonBlocking", "connect() on a socket that does not block", {"--nonblock"}),
      Bot("FastOpenBySend", "Fast Open, by sendto(MSG_FASTOPEN)", {"--way=fastopen_send"}),
      Bot("FastOpenByConnect", "Fast Open, by TCP_FASTOPEN_CONNECT", {"--way=fastopen_connect"}),
      Bot("FastOpenMapped", "Fast Open, to a v4-mapped address",
          {"--way=fastopen_send", "--mapped"}),
      Bot("Mapped", "connect() to a v4-mapped IPv6 address", {"--mapped"}),
      Bot("IoUring", "io_uring", {"--way=io_uring"}, "io_uring"),
      Bot("IoUringWithThread", "io_uring with SQPOLL: a thread of the kernel connects",
          {"--way=sqpoll"}, "io_uring"),
      Bot("Mptcp", "MPTCP, first subflow", {"--mptcp"}, "MPTCP"),
      Bot("MptcpFastOpen", "MPTCP with Fast Open", {"--mptcp", "--way=fastopen_send"},
          "MPTCP-Fast-Open"),
      Bot("Smc", "SMC, which falls back to TCP", {"--smc"}, "SMC"),
      Bot("Reconnect", "a socket that was connected elsewhere, let go and connected again",
          {"--way=reconnect"}),
      Bot("Thread", "a thread whose process has lost its leader", {"--who=thread"}),
      Bot("Vfork", "a child of vfork(), in its parent's memory", {"--who=vfork"}),
      Bot("DoubleFork", "a daemon, by a double fork", {"--who=double_fork"}),
      Bot("Disguised", "argv and comm of another program", {"--title=/usr/sbin/apache2"}),
  };
  Way subflow = Bot("MptcpLater", "MPTCP, a later subflow that the kernel makes by itself", {});
  subflow.line = {"{attacks}/later_subflow", "33", "{port}"};
  subflow.with = "refused";
  subflow.recorded = "denied by default: uid 0, no program (kworker), mm";
  subflow.feature = "MPTCP";
  subflow.wants_word = true;
  subflow.own_listener = true;
  subflow.note =
      "A worker of the kernel connects: the record says so, and does not name the process. An "
      "allow rule for the user or the program does not let its later subflows through.";
  ways.push_back(subflow);

  Way six = Bot("Six", "IPv6", {});
  six.line[2] = "{to6}";
  ways.push_back(six);

  Way dressed =
      Bot("Dressed", "root, with a mark, a source port and IP_TRANSPARENT", {"--dressed"});
  dressed.line[1] = "--uid=0";
  dressed.recorded = "denied by default: uid 0, connect, exec";
  ways.push_back(dressed);

  Way network = Bot("NetworkNamespace", "another network namespace", {"--netns"});
  network.line[3] = "127.0.0.1";
  network.own_listener = true;
  ways.push_back(network);

  Way own = Bot("OwnNetworkNamespace", "user and network namespaces of one's own",
                {"--userns", "--netns"});
  own.line[4] = "127.0.0.1";
  own.own_listener = true;
  own.recorded = "denied by default: uid 33, connect, exec, in a user namespace";
  ways.push_back(own);

  Way nested = Bot("NestedCgroup", "a nested cgroup with a program of its own that allows all", {});
  nested.line.insert(nested.line.begin(), {"{attacks}/cgroup_allow", "{cgroup}/nested"});
  ways.push_back(nested);
  return ways;
}

}  // namespace postern::testing::ways
