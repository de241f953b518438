/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inject self|root UID VICTIM VICTIM_UID ADDRESS PORT
 *
 * Starts VICTIM (the program connect.c) for VICTIM_UID, as that user itself or, as
 * Postfix's master does, as root before it becomes that user. Then, as UID, takes
 * hold of it by ptrace, and makes it call socket and connect. The line is the
 * victim's; `by=ptrace` says that the kernel did not let us take hold of it.
 */
#include <fcntl.h>
#include <stdint.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>

#include "tests/support/attacks/attack.h"

#ifdef __x86_64__

/* Waits until it is in read(0, ...): one that is stopped before cannot be made to call. */
static void await_read(pid_t victim) {
  char path[64];
  snprintf(path, sizeof(path), "/proc/%d/syscall", victim);
  for (;;) {
    long number = -1;
    unsigned long file = 1;
    FILE* syscall_of = fopen(path, "re");
    if (syscall_of == NULL) attack_fail(path);
    int found = fscanf(syscall_of, "%ld %lx", &number, &file);
    fclose(syscall_of);
    if (found == 2 && number == SYS_read && file == 0) return;
    usleep(1000);
  }
}

static pid_t start(char** argv, const char* uid_option) {
  int lines[2];
  int input[2];
  char line[64];
  if (pipe2(lines, O_CLOEXEC) != 0 || pipe2(input, O_CLOEXEC) != 0) attack_fail("pipe2");
  pid_t victim = fork();
  if (victim < 0) attack_fail("fork");
  if (victim == 0) {
    alarm(60);
    if (uid_option == NULL) attack_become((uid_t)atoi(argv[4]), (gid_t)atoi(argv[4]));
    dup2(input[0], STDIN_FILENO);
    dup2(lines[1], STDOUT_FILENO);
    /* The other end is its own too: it waits until somebody ends it. */
    if (fcntl(input[1], F_SETFD, 0) != 0) _exit(127);
    execl(argv[3], argv[3], "--wait", argv[5], argv[6], uid_option, (char*)NULL);
    _exit(127);
  }
  close(lines[1]);
  /* Ready; it reads from a pipe from then on. */
  if (read(lines[0], line, sizeof(line)) <= 0) attack_fail(argv[3]);
  await_read(victim);
  return victim;
}

/* Has the victim, which stopped on its way out of a system call, do another one. */
static long call(pid_t victim, struct user_regs_struct at, long number, long first, long second,
                 long third) {
  int status;
  at.rip -= 2; /* the `syscall` that it came from */
  at.rax = (unsigned long long)number;
  at.orig_rax = ~0ULL; /* nothing to restart */
  at.rdi = (unsigned long long)first;
  at.rsi = (unsigned long long)second;
  at.rdx = (unsigned long long)third;
  if (ptrace(PTRACE_SETREGS, victim, NULL, &at) != 0 ||
      ptrace(PTRACE_SINGLESTEP, victim, NULL, NULL) != 0 || waitpid(victim, &status, 0) != victim ||
      ptrace(PTRACE_GETREGS, victim, NULL, &at) != 0) {
    attack_fail("a system call of the victim");
  }
  return (long)at.rax;
}

int main(int argc, char** argv) {
  struct user_regs_struct at;
  char uid_option[32];
  int status;
  if (argc != 7 || (strcmp(argv[1], "self") != 0 && strcmp(argv[1], "root") != 0)) {
    fputs("usage: inject self|root UID VICTIM VICTIM_UID ADDRESS PORT\n", stderr);
    return 2;
  }
  union attack_address address = attack_parse(argv[5], atoi(argv[6]));
  alarm(60);
  snprintf(uid_option, sizeof(uid_option), "--uid=%s", argv[4]);
  pid_t victim = start(argv, strcmp(argv[1], "root") == 0 ? uid_option : NULL);
  attack_become((uid_t)atoi(argv[2]), (gid_t)atoi(argv[2]));
  if (ptrace(PTRACE_ATTACH, victim, NULL, NULL) != 0) {
    printf("pid=%d by=ptrace result=%s\n", victim, attack_errno(errno));
    return 0;
  }
  if (waitpid(victim, &status, 0) != victim || ptrace(PTRACE_GETREGS, victim, NULL, &at) != 0) {
    attack_fail("waitpid");
  }
  /* Below the red zone. */
  unsigned long long room = at.rsp - 1024;
  struct iovec ours = {.iov_base = &address, .iov_len = sizeof(address)};
  struct iovec its = {.iov_base = (void*)(uintptr_t)room, .iov_len = sizeof(address)};
  if (process_vm_writev(victim, &ours, 1, &its, 1, 0) != (ssize_t)sizeof(address)) {
    attack_fail("process_vm_writev");
  }
  long fd = call(victim, at, SYS_socket, address.any.sa_family, SOCK_STREAM, 0);
  if (fd < 0) attack_fail("socket");
  long result = call(victim, at, SYS_connect, fd, (long)room, attack_length(&address));
  printf("pid=%d result=%s\n", victim, attack_errno((int)-result));
  return 0;
}

#else

int main(void) { attack_missing("x86-64"); }

#endif
