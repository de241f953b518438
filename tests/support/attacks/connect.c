/* SPDX-License-Identifier: Apache-2.0 */
/*
 * connect [OPTION…] ADDRESS[,ADDRESS…] PORT[,PORT…]
 *
 * Connects in every way a program can. Prints a line for each attempt
 * (attack.h), or with --quiet one for each outcome: `pid=… attempts=… result=…`.
 * Exits 0 when all attempts were made, whatever came of them.
 */
#include <fcntl.h>
#include <getopt.h>
#include <linux/io_uring.h>
#include <linux/sched.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "tests/support/attacks/attack.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

enum way { WAY_CONNECT, WAY_FASTOPEN_SEND, WAY_FASTOPEN_CONNECT, WAY_IO_URING, WAY_SQPOLL };
enum who { WHO_SELF, WHO_THREAD, WHO_FORK, WHO_DOUBLE_FORK };

#define LIST_MAX 64

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
    "  --low-pid          a child with a lower pid than its parent's\n"
    "  --who=self|thread|fork|double_fork   thread: its leader has exited\n"
    "  --way=connect|fastopen_send|fastopen_connect|io_uring|sqpoll\n"
    "  --nonblock --mptcp --udp --mapped\n"
    "  --title=TEXT       overwrite argv, and set comm\n"
    "  --wait             print `pid=… ready`, then wait for a line on standard input\n"
    "  --stay             after the attempts, wait for the end of standard input\n"
    "  --deadline=SECONDS die then, whatever happens (60)\n"
    "  --note=TEXT        ignored: something to find in argv\n"
    "  --then=PROGRAM     after the attempts, become PROGRAM ADDRESS… PORT…\n";

static struct {
  const char* addresses[LIST_MAX];
  int address_count;
  int ports[LIST_MAX];
  int port_count;
  long count;
  long spread;
  bool each_forks;
  bool quiet;
  long uid, euid, gid, egid;
  gid_t groups[LIST_MAX];
  int group_count;
  bool swap_ids;
  bool userns;
  bool container;
  bool low_pid;
  enum who who;
  enum way way;
  bool nonblock, mptcp, udp, mapped;
  const char* title;
  bool wait;
  bool stay;
  unsigned deadline;
  char* then;
} options = {.count = 1, .uid = -1, .euid = -1, .gid = -1, .egid = -1, .deadline = 60};

static union attack_address destination_of(long attempt) {
  const char* text = options.addresses[attempt % options.address_count];
  int port = options.ports[attempt % options.port_count];
  char mapped[INET6_ADDRSTRLEN + 8];
  if (options.mapped) {
    snprintf(mapped, sizeof(mapped), "::ffff:%s", text);
    text = mapped;
  }
  union attack_address address = attack_parse(text, port);
  if (options.spread > 1) {
    uint32_t low;
    unsigned char* last = address.any.sa_family == AF_INET ? (unsigned char*)&address.v4.sin_addr
                                                           : &address.v6.sin6_addr.s6_addr[12];
    memcpy(&low, last, sizeof(low));
    low = htonl(ntohl(low) + (uint32_t)(attempt % options.spread));
    memcpy(last, &low, sizeof(low));
  }
  return address;
}

/* io_uring without liburing: one ring for all attempts of a process. */
struct ring {
  int fd;
  unsigned *sq_tail, *sq_mask, *sq_array, *sq_flags, *cq_head, *cq_tail, *cq_mask;
  struct io_uring_sqe* sqes;
  struct io_uring_cqe* cqes;
};

static void ring_open(struct ring* ring, bool sqpoll) {
  struct io_uring_params params;
  memset(&params, 0, sizeof(params));
  if (sqpoll) {
    params.flags = IORING_SETUP_SQPOLL;
    params.sq_thread_idle = 1000;
  }
  ring->fd = (int)syscall(SYS_io_uring_setup, 4, &params);
  if (ring->fd < 0) attack_fail("io_uring_setup");
  size_t sq_bytes = params.sq_off.array + params.sq_entries * sizeof(unsigned);
  size_t cq_bytes = params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe);
  char* sq = mmap(NULL, sq_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring->fd,
                  IORING_OFF_SQ_RING);
  char* cq = mmap(NULL, cq_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring->fd,
                  IORING_OFF_CQ_RING);
  ring->sqes = mmap(NULL, params.sq_entries * sizeof(struct io_uring_sqe), PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_POPULATE, ring->fd, IORING_OFF_SQES);
  if (sq == MAP_FAILED || cq == MAP_FAILED || ring->sqes == MAP_FAILED) attack_fail("mmap");
  ring->sq_tail = (unsigned*)(sq + params.sq_off.tail);
  ring->sq_mask = (unsigned*)(sq + params.sq_off.ring_mask);
  ring->sq_array = (unsigned*)(sq + params.sq_off.array);
  ring->sq_flags = (unsigned*)(sq + params.sq_off.flags);
  ring->cq_head = (unsigned*)(cq + params.cq_off.head);
  ring->cq_tail = (unsigned*)(cq + params.cq_off.tail);
  ring->cq_mask = (unsigned*)(cq + params.cq_off.ring_mask);
  ring->cqes = (struct io_uring_cqe*)(cq + params.cq_off.cqes);
}

static int ring_connect(struct ring* ring, bool sqpoll, int fd,
                        const union attack_address* address) {
  unsigned tail = *ring->sq_tail;
  unsigned index = tail & *ring->sq_mask;
  struct io_uring_sqe* sqe = &ring->sqes[index];
  memset(sqe, 0, sizeof(*sqe));
  sqe->opcode = IORING_OP_CONNECT;
  sqe->fd = fd;
  sqe->addr = (uintptr_t)address;
  sqe->off = attack_length(address);
  ring->sq_array[index] = index;
  __atomic_store_n(ring->sq_tail, tail + 1, __ATOMIC_RELEASE);
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  unsigned flags = IORING_ENTER_GETEVENTS;
  if (sqpoll && (__atomic_load_n(ring->sq_flags, __ATOMIC_RELAXED) & IORING_SQ_NEED_WAKEUP) != 0) {
    flags |= IORING_ENTER_SQ_WAKEUP;
  }
  while (__atomic_load_n(ring->cq_tail, __ATOMIC_ACQUIRE) == *ring->cq_head) {
    if (syscall(SYS_io_uring_enter, ring->fd, sqpoll ? 0 : 1, 1, flags, NULL, 0) < 0 &&
        errno != EINTR) {
      attack_fail("io_uring_enter");
    }
  }
  unsigned head = *ring->cq_head;
  int result = ring->cqes[head & *ring->cq_mask].res;
  __atomic_store_n(ring->cq_head, head + 1, __ATOMIC_RELEASE);
  return -result;
}

/* Returns the errno of the call that connects. */
static int attempt_once(const union attack_address* address) {
  static struct ring ring = {.fd = -1};
  static pid_t ring_owner;
  int type = (options.udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC;
  if (options.nonblock) type |= SOCK_NONBLOCK;
  int fd = socket(address->any.sa_family, type, options.mptcp ? IPPROTO_MPTCP : 0);
  if (fd < 0) attack_fail("socket");
  struct timeval patience = {.tv_sec = 5};
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
  static const char greeting[] = "EHLO [127.0.0.1]\r\n";
  int one = 1;
  long result = 0;
  int error = 0;
  switch (options.way) {
    case WAY_CONNECT:
      result = connect(fd, &address->any, attack_length(address));
      break;
    case WAY_FASTOPEN_SEND:
      result = sendto(fd, greeting, sizeof(greeting) - 1, MSG_FASTOPEN | MSG_NOSIGNAL,
                      &address->any, attack_length(address));
      break;
    case WAY_FASTOPEN_CONNECT:
      if (setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &one, sizeof(one)) != 0) {
        attack_fail("TCP_FASTOPEN_CONNECT");
      }
      result = connect(fd, &address->any, attack_length(address));
      if (result == 0 && send(fd, greeting, sizeof(greeting) - 1, MSG_NOSIGNAL) < 0) result = -1;
      break;
    case WAY_IO_URING:
    case WAY_SQPOLL:
      if (ring_owner != getpid()) {
        ring_open(&ring, options.way == WAY_SQPOLL);
        ring_owner = getpid();
      }
      error = ring_connect(&ring, options.way == WAY_SQPOLL, fd, address);
      break;
  }
  if (result < 0) error = errno;
  close(fd);
  return error;
}

static void swap_ids(void) {
  uid_t uid, euid, saved_uid;
  gid_t gid, egid, saved_gid;
  if (getresuid(&uid, &euid, &saved_uid) != 0 || getresgid(&gid, &egid, &saved_gid) != 0 ||
      setresgid(egid, gid, saved_gid) != 0 || setresuid(euid, uid, saved_uid) != 0) {
    attack_fail("swapping ids");
  }
}

static void make_attempts(void) {
  static long outcomes[256];
  memset(outcomes, 0, sizeof(outcomes));
  for (long i = 0; i < options.count; i++) {
    union attack_address address = destination_of(i);
    int error;
    if (options.each_forks) {
      fflush(stdout);
      pid_t child = fork();
      if (child < 0) attack_fail("fork");
      if (child == 0) {
        error = attempt_once(&address);
        if (!options.quiet) attack_report(&address, error);
        _exit(error & 0xff);
      }
      int status = 0;
      while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
      }
      error = WIFEXITED(status) ? WEXITSTATUS(status) : ECHILD;
    } else {
      error = attempt_once(&address);
      if (!options.quiet) attack_report(&address, error);
    }
    outcomes[error & 0xff]++;
    if (options.swap_ids) swap_ids();
  }
  for (int error = 0; options.quiet && error < 256; error++) {
    if (outcomes[error] == 0) continue;
    printf("pid=%d tid=%ld uid=%u attempts=%ld result=%s\n", getpid(), syscall(SYS_gettid),
           getuid(), outcomes[error], attack_errno(error));
  }
  fflush(stdout);
}

static void wait_for_end_of_input(void) {
  char buffer[256];
  while (options.stay && read(STDIN_FILENO, buffer, sizeof(buffer)) > 0) {
  }
}

static void* attempts_without_leader(void* unused) {
  (void)unused;
  char path[64];
  char text[512];
  snprintf(path, sizeof(path), "/proc/self/task/%d/stat", getpid());
  for (char state = 0; state != 'Z';) {
    FILE* file = fopen(path, "r");
    if (file == NULL) break;
    size_t bytes = fread(text, 1, sizeof(text) - 1, file);
    fclose(file);
    text[bytes] = 0;
    const char* end = strrchr(text, ')');
    if (end != NULL && end[1] != 0) state = end[2];
    sched_yield();
  }
  make_attempts();
  wait_for_end_of_input();
  exit(0);
}

/* Whoever makes the attempts, this process ends after they are made. */
static void run(void) {
  int done[2];
  pthread_t thread;
  switch (options.who) {
    case WHO_SELF:
      make_attempts();
      wait_for_end_of_input();
      return;
    case WHO_THREAD:
      if (pthread_create(&thread, NULL, attempts_without_leader, NULL) != 0) {
        attack_fail("pthread_create");
      }
      pthread_exit(NULL);
    case WHO_FORK:
    case WHO_DOUBLE_FORK:
      break;
  }
  if (pipe2(done, O_CLOEXEC) != 0) attack_fail("pipe2");
  fflush(stdout);
  pid_t child = fork();
  if (child < 0) attack_fail("fork");
  if (child == 0) {
    alarm(options.deadline);
    if (options.who == WHO_DOUBLE_FORK) {
      setsid();
      pid_t grandchild = fork();
      if (grandchild < 0) attack_fail("fork");
      if (grandchild != 0) _exit(0);
      alarm(options.deadline);
    }
    make_attempts();
    wait_for_end_of_input();
    exit(0);
  }
  close(done[1]);
  char byte;
  while (read(done[0], &byte, 1) < 0 && errno == EINTR) {
  }
  waitpid(child, NULL, 0);
}

static void enter_namespaces(void) {
  if (options.userns && unshare(CLONE_NEWUSER) != 0) attack_fail("unshare(CLONE_NEWUSER)");
}

/* Goes on in `child`, a child or 0; its parent ends as it does. */
static void go_on_in(pid_t child) {
  if (child == 0) {
    alarm(options.deadline);
    return;
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  exit(WIFEXITED(status) ? WEXITSTATUS(status) : 2);
}

/* Before the credentials: unsharing these wants root. */
static void enter_container(void) {
  if (!options.container) return;
  if (unshare(CLONE_NEWPID | CLONE_NEWCGROUP) != 0) attack_fail("unshare(CLONE_NEWPID)");
  pid_t child = fork();
  if (child < 0) attack_fail("fork");
  go_on_in(child);
}

/* As after pids have wrapped. Choosing one wants root. */
static void take_low_pid(void) {
  if (!options.low_pid) return;
  pid_t child = -1;
  for (pid_t pid = getpid() - 1; child < 0 && pid > 1; pid--) {
    struct clone_args args = {
        .exit_signal = SIGCHLD, .set_tid = (uintptr_t)&pid, .set_tid_size = 1};
    child = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
    if (child < 0 && errno != EEXIST) attack_fail("clone3");
  }
  if (child < 0) attack_fail("no pid is free below this one");
  go_on_in(child);
}

static void take_credentials(void) {
  uid_t uid = options.uid >= 0 ? (uid_t)options.uid : (uid_t)-1;
  uid_t euid = options.euid >= 0 ? (uid_t)options.euid : uid;
  gid_t gid = options.gid >= 0 ? (gid_t)options.gid : (gid_t)-1;
  gid_t egid = options.egid >= 0 ? (gid_t)options.egid : gid;
  bool changes = uid != (uid_t)-1 || euid != (uid_t)-1 || gid != (gid_t)-1 || egid != (gid_t)-1 ||
                 options.group_count > 0;
  if (changes && setgroups((size_t)options.group_count, options.groups) != 0) {
    attack_fail("setgroups");
  }
  if (setresgid(gid, egid, egid) != 0) attack_fail("setresgid");
  if (setresuid(uid, euid, euid) != 0) attack_fail("setresuid");
}

static void take_title(int argc, char** argv) {
  if (options.title == NULL) return;
  char name[16] = "";
  char* title = strdup(options.title);
  size_t room = (size_t)(argv[argc - 1] + strlen(argv[argc - 1]) - argv[0]);
  const char* base = strrchr(title, '/');
  snprintf(name, sizeof(name), "%s", base != NULL ? base + 1 : title);
  memset(argv[0], 0, room);
  memcpy(argv[0], title, strlen(title) < room ? strlen(title) : room);
  prctl(PR_SET_NAME, name);
}

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

static void parse(int argc, char** argv) {
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
    LOW_PID,
    WHO,
    WAY,
    NONBLOCK,
    MPTCP,
    UDP,
    MAPPED,
    TITLE,
    WAIT,
    STAY,
    DEADLINE,
    NOTE,
    THEN
  };
  static const struct option known[] = {
      {"count", 1, NULL, COUNT},       {"spread", 1, NULL, SPREAD},
      {"each", 1, NULL, EACH},         {"quiet", 0, NULL, QUIET},
      {"uid", 1, NULL, UID},           {"euid", 1, NULL, EUID},
      {"gid", 1, NULL, GID},           {"egid", 1, NULL, EGID},
      {"groups", 1, NULL, GROUPS},     {"swap-ids", 0, NULL, SWAP_IDS},
      {"userns", 0, NULL, USERNS},     {"container", 0, NULL, CONTAINER},
      {"low-pid", 0, NULL, LOW_PID},   {"who", 1, NULL, WHO},
      {"way", 1, NULL, WAY},           {"nonblock", 0, NULL, NONBLOCK},
      {"mptcp", 0, NULL, MPTCP},       {"udp", 0, NULL, UDP},
      {"mapped", 0, NULL, MAPPED},     {"title", 1, NULL, TITLE},
      {"wait", 0, NULL, WAIT},         {"stay", 0, NULL, STAY},
      {"deadline", 1, NULL, DEADLINE}, {"note", 1, NULL, NOTE},
      {"then", 1, NULL, THEN},         {NULL, 0, NULL, 0}};
  static const char* const whos[] = {"self", "thread", "fork", "double_fork", NULL};
  static const char* const ways[] = {"connect",  "fastopen_send", "fastopen_connect",
                                     "io_uring", "sqpoll",        NULL};
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
      case LOW_PID:
        options.low_pid = true;
        break;
      case WHO:
        options.who = (enum who)choice(optarg, whos);
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
      case MAPPED:
        options.mapped = true;
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
}

int main(int argc, char** argv) {
  parse(argc, argv);
  alarm(options.deadline);
  enter_container();
  take_low_pid();
  take_credentials();
  enter_namespaces();
  take_title(argc, argv);
  if (options.wait) {
    char line[16];
    printf("pid=%d ready\n", getpid());
    fflush(stdout);
    if (read(STDIN_FILENO, line, sizeof(line)) < 0) attack_fail("standard input");
  }
  run();
  if (options.then != NULL) {
    execl(options.then, options.then, argv[argc - 2], argv[argc - 1], (char*)NULL);
    attack_fail(options.then);
  }
  return 0;
}
