/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pid_reuse UID FIRST SECOND ADDRESS PORT
 *
 * Runs `FIRST ADDRESS PORT` as UID, and when that is gone, `SECOND ADDRESS PORT`
 * under the very same pid (clone3 with set_tid; root). SECOND `-`: no exec, this
 * program's fork connects. Both print their attempt's line. Exits 1 when the
 * pid could not be had again.
 */
#include <linux/sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/wait.h>

#include "tests/support/attacks/attack.h"

static void be(const char* program, char** argv) {
  uid_t uid = (uid_t)atoi(argv[1]);
  alarm(30);
  if (uid != getuid()) attack_become(uid, uid);
  if (strcmp(program, "-") == 0) {
    union attack_address address = attack_parse(argv[4], atoi(argv[5]));
    attack_report(&address, attack_connect_once(&address));
    exit(0);
  }
  execl(program, program, argv[4], argv[5], (char*)NULL);
  attack_fail(program);
}

static pid_t start_as(pid_t pid) {
  struct clone_args args;
  memset(&args, 0, sizeof(args));
  args.exit_signal = SIGCHLD;
  args.set_tid = (uintptr_t)&pid;
  args.set_tid_size = 1;
  return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
}

int main(int argc, char** argv) {
  if (argc != 6) {
    fputs("usage: pid_reuse UID FIRST SECOND ADDRESS PORT\n", stderr);
    return 2;
  }
  pid_t first = fork();
  if (first < 0) attack_fail("fork");
  if (first == 0) be(argv[2], argv);
  if (waitpid(first, NULL, 0) != first) attack_fail("waitpid");
  pid_t second = start_as(first);
  if (second < 0) {
    fprintf(stderr, "pid %d again: %s\n", first, strerror(errno));
    return 1;
  }
  if (second == 0) be(argv[3], argv);
  int status = 0;
  if (waitpid(second, &status, 0) != second) attack_fail("waitpid");
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
