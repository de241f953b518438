/* SPDX-License-Identifier: Apache-2.0 */
/*
 * caller loop UID RATE BOOK ADDRESS PORT           connects RATE times a second
 * caller fork UID RATE BOOK ADDRESS PORT PROGRAM   so does a new process for each connect:
 * caller once UID ADDRESS PORT                     which PROGRAM is started as
 *
 * Becomes UID first, unless it is that already; with `fork`, each child does. Until
 * SIGTERM. BOOK is a file that is there; each attempt appends a line of 24 bytes:
 * nanoseconds since the epoch before connect(), and its errno, 0 for none. `once` exits
 * with that errno. The pace is kept by the clock: who was held up makes up for it.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "tests/support/attacks/attack.h"

#define NANOSECONDS 1000000000LL

static volatile sig_atomic_t stopped;

static void stop(int signal) {
  (void)signal;
  stopped = 1;
}

static long long now(clockid_t clock) {
  struct timespec time;
  clock_gettime(clock, &time);
  return time.tv_sec * NANOSECONDS + time.tv_nsec;
}

static void become(const char* uid) {
  uid_t wanted = (uid_t)atoi(uid);
  if (wanted != getuid()) attack_become(wanted, wanted);
}

/* Resets the connection, so that no port waits for its end. */
static int connect_and_reset(const union attack_address* address) {
  struct timeval patience = {.tv_sec = 5};
  struct linger reset = {.l_onoff = 1, .l_linger = 0};
  int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) attack_fail("socket");
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
  int error = connect(fd, &address->any, attack_length(address)) == 0 ? 0 : errno;
  close(fd);
  return error;
}

/* What PROGRAM exits with that could not be started is no errno. */
static int connect_in_child(char** argv) {
  int status = 0;
  pid_t child = vfork();
  if (child < 0) attack_fail("vfork");
  if (child == 0) {
    execl(argv[7], argv[7], "once", argv[2], argv[5], argv[6], (char*)NULL);
    _exit(255);
  }
  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) attack_fail("waitpid");
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

int main(int argc, char** argv) {
  if (argc == 5 && strcmp(argv[1], "once") == 0) {
    union attack_address address = attack_parse(argv[3], atoi(argv[4]));
    become(argv[2]);
    return connect_and_reset(&address);
  }
  int forks = argc == 8 && strcmp(argv[1], "fork") == 0;
  if (!forks && (argc != 7 || strcmp(argv[1], "loop") != 0)) {
    fputs("usage: caller loop|fork UID RATE BOOK ADDRESS PORT [PROGRAM]\n", stderr);
    return 2;
  }
  struct sigaction action = {.sa_handler = stop};
  sigaction(SIGTERM, &action, NULL);
  alarm(1800);
  int book = open(argv[4], O_WRONLY | O_APPEND | O_CLOEXEC);
  if (book < 0) attack_fail(argv[4]);
  int rate = atoi(argv[3]);
  if (rate < 1) return 2;
  union attack_address address = attack_parse(argv[5], atoi(argv[6]));
  if (!forks) become(argv[2]);

  long long start = now(CLOCK_MONOTONIC);
  for (long long made = 0; !stopped; made++) {
    long long due = start + made * NANOSECONDS / rate;
    struct timespec when = {.tv_sec = due / NANOSECONDS, .tv_nsec = due % NANOSECONDS};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, NULL);
    if (stopped) break;
    char line[32];
    long long time = now(CLOCK_REALTIME);
    int error = forks ? connect_in_child(argv) : connect_and_reset(&address);
    int length = snprintf(line, sizeof(line), "%019lld %3d\n", time, error);
    if (length != 24 || write(book, line, 24) != 24) attack_fail(argv[4]);
  }
  return 0;
}
