/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/attacks/connect/options.h"

#include <getopt.h>

#include "tests/support/attacks/attack.h"

static const char usage[] =
    "usage: connect [OPTION…] ADDRESS[,ADDRESS…] PORT[,PORT…]\n"
    "  --count=N          attempts, each with a socket of its own (1)\n"
    "  --spread=N         attempt i goes to the address plus i modulo N\n"
    "  --each=fork        a process of its own for every attempt\n"
    "  --quiet            one line for each outcome instead of each attempt\n"
    "  --uid=N --euid=N --gid=N --egid=N --groups=N,…\n"
    "  --swap-ids         real and effective ids change places after each attempt\n"
    "  --userns           enter a new user namespace, without a mapping\n"
    "  --container        new pid and cgroup namespaces\n"
    "  --netns            a new network namespace, with a listener on the first port\n"
    "  --cgroup=FOLDER    enter that cgroup\n"
    "  --low-pid          a child with a lower pid than its parent's\n"
    "  --who=self|thread|fork|double_fork|vfork   thread: its leader has exited\n"
    "  --thread-uid=N     a thread alone takes that uid, and makes the attempts\n"
    "  --way=connect|fastopen_send|fastopen_connect|io_uring|sqpoll|reconnect\n"
    "  --nonblock --mptcp --udp --smc --mapped\n"
    "  --dressed          the socket with a mark, a source port and IP_TRANSPARENT (root)\n"
    "  --no-option-memory the socket has none left\n"
    "  --peer             begin an attempt's line with `peer=ADDRESS peer_port=PORT`\n"
    "  --hold             wait for a line on standard input before that\n"
    "  --again=ADDRESS    disconnect, then connect the same socket there\n"
    "  --network=FILE     enter that network namespace\n"
    "  --title=TEXT       overwrite argv, and set comm\n"
    "  --wait             print `pid=… ready`, then wait for a line on standard input\n"
    "  --stay             after the attempts, wait for the end of standard input\n"
    "  --deadline=SECONDS die then, whatever happens (60)\n"
    "  --note=TEXT        ignored: something to find in argv\n"
    "  --then=PROGRAM     after the attempts, become PROGRAM ADDRESS… PORT…\n";

static long number(const char* text) {
  char* end;
  long value = strtol(text, &end, 10);
  if (*text == 0 || *end != 0) {
    errno = EINVAL;
    attack_fail(text);
  }
  return value;
}

static int choice(const char* text, const char* const* names) {
  for (int i = 0; names[i] != NULL; i++) {
    if (strcmp(text, names[i]) == 0) return i;
  }
  errno = EINVAL;
  attack_fail(text);
  return -1;
}

struct options parse_options(int argc, char** argv) {
  struct options options = {
      .count = 1, .uid = -1, .euid = -1, .gid = -1, .egid = -1, .thread_uid = -1, .deadline = 60};
  enum {
    COUNT = 1,
    SPREAD,
    EACH,
    QUIET,
    UID,
    EUID,
    GID,
    EGID,
    GROUPS,
    SWAP_IDS,
    USERNS,
    CONTAINER,
    NETNS,
    LOW_PID,
    CGROUP,
    WHO,
    THREAD_UID,
    WAY,
    NONBLOCK,
    MPTCP,
    UDP,
    SMC,
    MAPPED,
    NO_OPTION_MEMORY,
    PEER,
    HOLD,
    AGAIN,
    NETWORK,
    DRESSED,
    TITLE,
    WAIT,
    STAY,
    DEADLINE,
    NOTE,
    THEN
  };
  static const struct option known[] = {{"count", 1, NULL, COUNT},
                                        {"spread", 1, NULL, SPREAD},
                                        {"each", 1, NULL, EACH},
                                        {"quiet", 0, NULL, QUIET},
                                        {"uid", 1, NULL, UID},
                                        {"euid", 1, NULL, EUID},
                                        {"gid", 1, NULL, GID},
                                        {"egid", 1, NULL, EGID},
                                        {"groups", 1, NULL, GROUPS},
                                        {"swap-ids", 0, NULL, SWAP_IDS},
                                        {"userns", 0, NULL, USERNS},
                                        {"container", 0, NULL, CONTAINER},
                                        {"netns", 0, NULL, NETNS},
                                        {"low-pid", 0, NULL, LOW_PID},
                                        {"cgroup", 1, NULL, CGROUP},
                                        {"who", 1, NULL, WHO},
                                        {"thread-uid", 1, NULL, THREAD_UID},
                                        {"way", 1, NULL, WAY},
                                        {"nonblock", 0, NULL, NONBLOCK},
                                        {"mptcp", 0, NULL, MPTCP},
                                        {"udp", 0, NULL, UDP},
                                        {"smc", 0, NULL, SMC},
                                        {"mapped", 0, NULL, MAPPED},
                                        {"no-option-memory", 0, NULL, NO_OPTION_MEMORY},
                                        {"peer", 0, NULL, PEER},
                                        {"hold", 0, NULL, HOLD},
                                        {"again", 1, NULL, AGAIN},
                                        {"network", 1, NULL, NETWORK},
                                        {"dressed", 0, NULL, DRESSED},
                                        {"title", 1, NULL, TITLE},
                                        {"wait", 0, NULL, WAIT},
                                        {"stay", 0, NULL, STAY},
                                        {"deadline", 1, NULL, DEADLINE},
                                        {"note", 1, NULL, NOTE},
                                        {"then", 1, NULL, THEN},
                                        {NULL, 0, NULL, 0}};
  static const char* const whos[] = {"self", "thread", "fork", "double_fork", "vfork", NULL};
  static const char* const ways[] = {
      "connect", "fastopen_send", "fastopen_connect", "io_uring", "sqpoll", "reconnect", NULL};
  for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
    switch (option) {
      case COUNT:
        options.count = number(optarg);
        break;
      case SPREAD:
        options.spread = number(optarg);
        break;
      case EACH:
        options.each_forks = strcmp(optarg, "fork") == 0;
        break;
      case QUIET:
        options.quiet = true;
        break;
      case UID:
        options.uid = number(optarg);
        break;
      case EUID:
        options.euid = number(optarg);
        break;
      case GID:
        options.gid = number(optarg);
        break;
      case EGID:
        options.egid = number(optarg);
        break;
      case GROUPS:
        for (char* item = strtok(strdup(optarg), ","); item != NULL; item = strtok(NULL, ",")) {
          if (options.group_count < LIST_MAX) {
            options.groups[options.group_count++] = (gid_t)number(item);
          }
        }
        break;
      case SWAP_IDS:
        options.swap_ids = true;
        break;
      case USERNS:
        options.userns = true;
        break;
      case CONTAINER:
        options.container = true;
        break;
      case NETNS:
        options.netns = true;
        break;
      case LOW_PID:
        options.low_pid = true;
        break;
      case CGROUP:
        options.cgroup = optarg;
        break;
      case WHO:
        options.who = (enum who)choice(optarg, whos);
        break;
      case THREAD_UID:
        options.thread_uid = number(optarg);
        break;
      case WAY:
        options.way = (enum way)choice(optarg, ways);
        break;
      case NONBLOCK:
        options.nonblock = true;
        break;
      case MPTCP:
        options.mptcp = true;
        break;
      case UDP:
        options.udp = true;
        break;
      case SMC:
        options.smc = true;
        break;
      case DRESSED:
        options.dressed = true;
        break;
      case MAPPED:
        options.mapped = true;
        break;
      case NO_OPTION_MEMORY:
        options.no_option_memory = true;
        break;
      case PEER:
        options.peer = true;
        break;
      case HOLD:
        options.hold = true;
        break;
      case AGAIN:
        options.again = optarg;
        break;
      case NETWORK:
        options.network = optarg;
        break;
      case TITLE:
        options.title = strdup(optarg);
        break;
      case WAIT:
        options.wait = true;
        break;
      case STAY:
        options.stay = true;
        break;
      case DEADLINE:
        options.deadline = (unsigned)number(optarg);
        break;
      case NOTE:
        break;
      case THEN:
        options.then = optarg;
        break;
      default:
        fputs(usage, stderr);
        exit(2);
    }
  }
  if (argc - optind != 2) {
    fputs(usage, stderr);
    exit(2);
  }
  for (char* item = strtok(strdup(argv[optind]), ","); item != NULL; item = strtok(NULL, ",")) {
    if (options.address_count < LIST_MAX) options.addresses[options.address_count++] = item;
  }
  for (char* item = strtok(strdup(argv[optind + 1]), ","); item != NULL; item = strtok(NULL, ",")) {
    if (options.port_count < LIST_MAX) options.ports[options.port_count++] = (int)number(item);
  }
  if (options.address_count == 0 || options.port_count == 0) {
    fputs(usage, stderr);
    exit(2);
  }
  return options;
}
