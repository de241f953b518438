// SPDX-License-Identifier: Apache-2.0
// agent.yaml as the agent uses it. Plain data; docs/policy.md says what each
// field means. Lines are those of the file, from 1; 0 for what was built in.
#ifndef POSTERN_AGENT_POLICY_CONFIG_H_
#define POSTERN_AGENT_POLICY_CONFIG_H_

#include <cerrno>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "bpf/abi/policy.h"

namespace postern::policy {

enum class Mode { kMonitor, kEnforce };
enum class OnStop { kKeep, kRelease };
enum class RawSockets { kRecord, kDeny };
enum class EarlierConnections { kRecord, kReset };
enum class UserNamespace { kInitial, kAny };

// A user or group, by name or number. A number need not exist on this host:
// containers have users of their own.
struct Account {
  static constexpr uint32_t kUnresolved = 0xffffffff;  // no valid id: (uid_t)-1

  std::string text;  // as written
  uint32_t id = kUnresolved;
  int line = 0;
};

struct BinaryPath {
  std::string path;
  int line = 0;
};

// IPv4 is kept as ::ffff:a.b.c.d, its prefix length 96 more than written.
struct Cidr {
  postern_prefix prefix = {};
  bool ipv4 = false;
  std::string text;  // as written
  int line = 0;
};

// A cgroup by its path from the root of the tree, "/system.slice/cron.service", or
// all whose path begins so.
struct UnitPath {
  std::string path;
  bool prefix = false;  // written with a "*" at its end, which is not in `path`
  int line = 0;
};

// A script by its path, as events show it.
struct ScriptPath {
  std::string path;
  int line = 0;
};

struct PortNumber {
  uint16_t port = 0;
  int line = 0;
};

// What a connect is compared with. An empty list asks nothing.
struct Criteria {
  std::vector<Account> users;
  std::vector<Account> groups;
  std::vector<BinaryPath> exes;
  std::vector<Account> started_as;
  std::vector<UnitPath> units;
  std::vector<ScriptPath> scripts;
  std::vector<Cidr> destinations;
  bool destination_local = false;  // joins `destinations`
  std::vector<PortNumber> ports;

  bool names_destination() const { return destination_local || !destinations.empty(); }
  bool names_identity() const {
    return !users.empty() || !groups.empty() || !exes.empty() || !started_as.empty() ||
           !units.empty() || !scripts.empty();
  }
  bool names_nothing() const { return !names_identity() && !names_destination() && ports.empty(); }
};

// So many times `per`, by each user.
struct Limit {
  uint64_t count = 0;
  absl::Duration per;
  std::string text;  // as written
};

// Matches where all of its own criteria do, and nothing of what it excludes does.
struct Rule : Criteria {
  std::string name;
  int line = 0;
  bool built_in = false;  // from the rules that hold where a file has none
  bool faulty = false;    // may say something else than was meant: not to be judged by
  Criteria excluded;      // `not:`
  // Absent: the rule does not ask.
  std::optional<bool> container;
  std::optional<UserNamespace> user_namespace;
  std::optional<Limit> limit;
  postern_action action = POSTERN_ACTION_DENY;

  bool says_who() const { return names_identity() || excluded.names_identity(); }
};

// PEM files for a collector over TCP. Empty paths: those that the agent has enrolled
// for, in its state_dir.
struct CollectorTls {
  std::string ca;
  std::string cert;
  std::string key;
};

struct Config {
  std::string file;  // as messages name it

  Mode mode = Mode::kMonitor;
  std::vector<uint16_t> ports = {25, 465, 587};
  std::vector<Rule> rules;
  postern_action default_action = POSTERN_ACTION_DENY;
  int deny_errno = EPERM;
  RawSockets raw_sockets = RawSockets::kRecord;
  EarlierConnections earlier_connections = EarlierConnections::kRecord;
  OnStop on_stop = OnStop::kKeep;

  std::string state_dir = "/var/lib/postern-agent";
  std::string run_dir = "/run/postern-agent";
  std::string bpffs = "/sys/fs/bpf/postern";
  std::string cgroup = "auto";
  std::string events = "stderr";  // stderr, journal, none, or an absolute path
  std::string host;               // empty: the machine's own name

  // Tried in turn; "unix:PATH" or "HOST:PORT". Empty: no collector.
  std::vector<std::string> collector_addresses;
  CollectorTls collector_tls;
  uint64_t spool_max_bytes = uint64_t{256} << 20;

  std::string metrics;  // "127.0.0.1:7427"; empty: not served
};

// Where a rule may match, container and user namespace taken together. An allow
// rule that names who connects holds outside of both unless it says otherwise,
// because users and files mean something else in there.
struct Reach {
  bool in_container = true;
  bool outside_container = true;
  bool in_user_namespace = true;  // one other than the initial
};
Reach ReachOf(const Rule& rule);

}  // namespace postern::policy

#endif  // POSTERN_AGENT_POLICY_CONFIG_H_
