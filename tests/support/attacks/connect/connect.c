/* SPDX-License-Identifier: Apache-2.0 */
/*
 * connect [OPTION…] ADDRESS[,ADDRESS…] PORT[,PORT…]
 *
 * Connects in every way a program can. Prints a line for each attempt
 * (attack.h), or with --quiet one for each outcome: `pid=… attempts=… result=…`.
 * Exits 0 when all attempts were made, whatever came of them.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/wait.h>

#include "tests/support/attacks/attack.h"
#include "tests/support/attacks/connect/guise.h"
#include "tests/support/attacks/connect/options.h"
#include "tests/support/attacks/connect/socket.h"
#include "tests/support/attacks/connect/way.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif
#ifndef AF_SMC
#define AF_SMC 43
#endif
#define SOURCE_PORT 2525

static struct options options;

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

static void wait_for_a_line(void) {
  char line[16];
  printf("pid=%d ready\n", getpid());
  fflush(stdout);
  if (read(STDIN_FILENO, line, sizeof(line)) < 0) attack_fail("standard input");
}

static int open_socket(int family) {
  int type = (options.udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC;
  int protocol = 0;
  const char* name = "TCP";
  if (options.nonblock) type |= SOCK_NONBLOCK;
  if (options.mptcp) {
    protocol = IPPROTO_MPTCP;
    name = "MPTCP";
  } else if (options.smc) {
    /* net/smc/smc.h: SMCPROTO_SMC, SMCPROTO_SMC6 */
    protocol = family == AF_INET ? 0 : 1;
    family = AF_SMC;
    name = "SMC";
  }
  return attack_socket(family, type, protocol, name);
}

static void dress(int fd) {
  int one = 1;
  struct sockaddr_in source = {.sin_family = AF_INET, .sin_port = htons(SOURCE_PORT)};
  if (setsockopt(fd, SOL_SOCKET, SO_MARK, &one, sizeof(one)) != 0 ||
      setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) != 0 ||
      setsockopt(fd, IPPROTO_IP, IP_TRANSPARENT, &one, sizeof(one)) != 0 ||
      bind(fd, (struct sockaddr*)&source, sizeof(source)) != 0) {
    attack_fail("--dressed");
  }
}

/* Returns the errno of the call that connects, and where to: the last of two. */
static int attempt_once(union attack_address* address) {
  int fd = open_socket(address->any.sa_family);
  if (options.dressed) dress(fd);
  struct timeval patience = {.tv_sec = 5};
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
  if (options.no_option_memory) use_up_option_memory(fd);
  int error = connect_by(options.way, fd, address);
  /* Since 6.2. */
  if (options.mptcp && error == EOPNOTSUPP) attack_missing("MPTCP-Fast-Open");
  if (options.hold) wait_for_a_line();
  if (options.peer) show_peer(fd);
  if (options.again != NULL) {
    attack_report(address, error);
    *address = attack_parse(options.again, options.ports[0]);
    disconnect(fd);
    error = connect_by(options.way, fd, address);
    if (options.peer) show_peer(fd);
  }
  close(fd);
  return error;
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

static void* attempts_as_thread_uid(void* unused) {
  uid_t uid = (uid_t)options.thread_uid;
  /* The call itself: glibc's would change all threads. */
  if (syscall(SYS_setresuid, uid, uid, uid) != 0) attack_fail("setresuid");
  make_attempts();
  return unused;
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
  pid_t child;
  switch (options.who) {
    case WHO_VFORK:
      child = vfork();
      if (child < 0) attack_fail("vfork");
      if (child != 0) {
        waitpid(child, NULL, 0);
        return;
      }
      make_attempts();
      _exit(0);
    case WHO_SELF:
      if (options.thread_uid >= 0) {
        if (pthread_create(&thread, NULL, attempts_as_thread_uid, NULL) != 0 ||
            pthread_join(thread, NULL) != 0) {
          attack_fail("pthread_create");
        }
        return;
      }
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
  child = fork();
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

int main(int argc, char** argv) {
  options = parse_options(argc, argv);
  alarm(options.deadline);
  if (options.container) enter_container(options.deadline);
  if (options.cgroup != NULL) enter_cgroup(options.cgroup);
  if (options.network != NULL) enter_network(options.network);
  if (options.low_pid) take_low_pid(options.deadline);
  /* Who has no user namespace of its own needs root for it. */
  if (options.netns && !options.userns) enter_network_namespace(options.ports[0]);
  take_credentials(&options);
  if (options.userns) enter_user_namespace();
  if (options.netns && options.userns) enter_network_namespace(options.ports[0]);
  if (options.title != NULL) take_title(options.title, argc, argv);
  if (options.wait) wait_for_a_line();
  run();
  if (options.then != NULL) {
    execl(options.then, options.then, argv[argc - 2], argv[argc - 1], (char*)NULL);
    attack_fail(options.then);
  }
  return 0;
}
