/* SPDX-License-Identifier: Apache-2.0 */
/*
 * subordinates [OPTION...] UID FIRST COUNT ADDRESS PORT
 *
 * In a user namespace that UID made, into which root mapped COUNT uids and gids from
 * FIRST on (as newuidmap does by /etc/subuid): each of them connects once. attack.h's line for
 * each, with the uid as the namespace has it.
 * --nested  in a namespace below that one, made by the first of them
 */
#include <getopt.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "tests/support/attacks/attack.h"

static void write_to(const char* path, const char* text) {
  FILE* file = fopen(path, "w");
  if (file == NULL || fputs(text, file) == EOF || fclose(file) != 0) attack_fail(path);
}

static void say(int fd) {
  if (write(fd, "", 1) != 1) attack_fail("pipe");
}

static void wait_for(int fd) {
  char byte;
  if (read(fd, &byte, 1) != 1) attack_fail("pipe");
}

/* By its parent, for a child that has just unshared. */
static void map(pid_t child, const char* range) {
  char path[64];
  snprintf(path, sizeof(path), "/proc/%d/uid_map", child);
  write_to(path, range);
  snprintf(path, sizeof(path), "/proc/%d/gid_map", child);
  write_to(path, range);
}

/* Goes on in a child of a new user namespace with the uids of `range`. */
static void enter(uid_t maker, const char* range) {
  int unshared[2], mapped[2];
  if (pipe(unshared) != 0 || pipe(mapped) != 0) attack_fail("pipe");
  pid_t child = fork();
  if (child < 0) attack_fail("fork");
  if (child == 0) {
    close(mapped[1]);
    if (setresgid(maker, maker, maker) != 0 || setresuid(maker, maker, maker) != 0 ||
        unshare(CLONE_NEWUSER) != 0) {
      attack_fail("unshare");
    }
    /* Or its files in /proc are the initial root's. */
    if (prctl(PR_SET_DUMPABLE, 1) != 0) attack_fail("PR_SET_DUMPABLE");
    say(unshared[1]);
    wait_for(mapped[0]);
    if (setresgid(0, 0, 0) != 0 || setresuid(0, 0, 0) != 0) attack_fail("setresuid");
    return;
  }
  close(unshared[1]);
  wait_for(unshared[0]);
  map(child, range);
  say(mapped[1]);
  int status = 0;
  waitpid(child, &status, 0);
  exit(WIFEXITED(status) ? WEXITSTATUS(status) : 2);
}

int main(int argc, char** argv) {
  static const struct option known[] = {{"nested", no_argument, NULL, 'n'}, {NULL, 0, NULL, 0}};
  bool nested = false;
  char range[64];
  for (int option; (option = getopt_long(argc, argv, "+", known, NULL)) != -1;) {
    if (option == '?') return 2;
    nested = true;
  }
  if (argc - optind != 5) {
    fputs("usage: subordinates [--nested] UID FIRST COUNT ADDRESS PORT\n", stderr);
    return 2;
  }
  argv += optind;
  int count = atoi(argv[2]);
  union attack_address to = attack_parse(argv[3], atoi(argv[4]));
  alarm(120);
  snprintf(range, sizeof(range), "0 %s %d", argv[1], count);
  enter((uid_t)atoi(argv[0]), range);
  if (nested) {
    snprintf(range, sizeof(range), "0 0 %d", count);
    enter(0, range);
  }
  for (int uid = 0; uid < count; uid++) {
    /* In a child: who is no longer root cannot become the next one. */
    pid_t child = fork();
    if (child < 0) attack_fail("fork");
    if (child == 0) {
      if (setresuid((uid_t)uid, (uid_t)uid, (uid_t)uid) != 0) attack_fail("setresuid");
      int fd = socket(to.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
      if (fd < 0) attack_fail("socket");
      attack_report(&to, connect(fd, &to.any, attack_length(&to)) == 0 ? 0 : errno);
      return 0;
    }
    int status = 0;
    waitpid(child, &status, 0);
    if (status != 0) return 2;
  }
  return 0;
}
