/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sleepers COUNT UID SECONDS
 *
 * COUNT processes of UID that do nothing but be there. They share one memory
 * (CLONE_VM), so a machine holds tens of thousands. Prints `started=…`, then
 * waits for the end of standard input, SECONDS at most, ends them, and ends once
 * none is left.
 */
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include "tests/support/attacks/attack.h"

#define STACK_BYTES 4096

static long seconds;

/* Memory and thread-local storage are shared with all others: system calls only. */
static int sleeper(void* unused) {
  (void)unused;
  struct timespec span = {.tv_sec = seconds};
  syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  syscall(SYS_nanosleep, &span, NULL);
  syscall(SYS_exit_group, 0);
  return 0;
}

int main(int argc, char** argv) {
  if (argc != 4) {
    fputs("usage: sleepers COUNT UID SECONDS\n", stderr);
    return 2;
  }
  int count = atoi(argv[1]);
  uid_t uid = (uid_t)atoi(argv[2]);
  seconds = atol(argv[3]);
  if (count < 1 || count > 100000 || seconds < 1 || seconds > 600) return 2;
  struct rlimit limit = {.rlim_cur = 120000, .rlim_max = 120000};
  setrlimit(RLIMIT_NPROC, &limit);
  if (uid != getuid()) attack_become(uid, uid);
  /* They leave no zombies. */
  signal(SIGCHLD, SIG_IGN);
  char* stacks = mmap(NULL, (size_t)count * STACK_BYTES, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (stacks == MAP_FAILED) attack_fail("mmap");
  int started = 0;
  /* A process group without this one: the first of them, and all others. */
  pid_t group = 0;
  while (started < count) {
    pid_t one =
        clone(sleeper, stacks + (size_t)(started + 1) * STACK_BYTES, CLONE_VM | SIGCHLD, NULL);
    if (one < 0) break;
    if (group == 0) group = one;
    setpgid(one, group);
    started++;
  }
  printf("started=%d result=%s\n", started, attack_errno(started < count ? errno : 0));
  fflush(stdout);
  struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
  poll(&input, 1, (int)seconds * 1000);
  if (group != 0) kill(-group, SIGKILL);
  while (wait(NULL) >= 0 || errno == EINTR) {
  }
  return 0;
}
