/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/attacks/connect/guise.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "tests/support/attacks/attack.h"

void enter_user_namespace(void) {
  if (unshare(CLONE_NEWUSER) != 0) attack_fail("unshare(CLONE_NEWUSER)");
}

void enter_network_namespace(int port) {
  struct ifreq loopback = {.ifr_name = "lo", .ifr_flags = IFF_UP};
  struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
  if (unshare(CLONE_NEWNET) != 0) attack_fail("unshare(CLONE_NEWNET)");
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &loopback) != 0) attack_fail("bringing lo up");
  if (bind(fd, (struct sockaddr*)&any, sizeof(any)) != 0 || listen(fd, 16) != 0) {
    attack_fail("listening");
  }
}

/* Goes on in `child`, a child or 0; its parent ends as it does. */
static void go_on_in(pid_t child, unsigned deadline) {
  if (child == 0) {
    alarm(deadline);
    return;
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  exit(WIFEXITED(status) ? WEXITSTATUS(status) : 2);
}

void enter_container(unsigned deadline) {
  if (unshare(CLONE_NEWPID | CLONE_NEWCGROUP) != 0) attack_fail("unshare(CLONE_NEWPID)");
  pid_t child = fork();
  if (child < 0) attack_fail("fork");
  go_on_in(child, deadline);
}

void enter_network(const char* path) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || setns(fd, CLONE_NEWNET) != 0) attack_fail(path);
  close(fd);
}

void enter_cgroup(const char* path) {
  char procs[512];
  snprintf(procs, sizeof(procs), "%s/cgroup.procs", path);
  FILE* file = fopen(procs, "w");
  if (file == NULL || fputs("0", file) < 0 || fclose(file) != 0) attack_fail(procs);
}

void take_low_pid(unsigned deadline) {
  pid_t child = -1;
  for (pid_t pid = getpid() - 1; child < 0 && pid > 1; pid--) {
    struct clone_args args = {
        .exit_signal = SIGCHLD, .set_tid = (uintptr_t)&pid, .set_tid_size = 1};
    child = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
    if (child < 0 && errno != EEXIST) attack_fail("clone3");
  }
  if (child < 0) attack_fail("no pid is free below this one");
  go_on_in(child, deadline);
}

void take_credentials(const struct options* options) {
  uid_t uid = options->uid >= 0 ? (uid_t)options->uid : (uid_t)-1;
  uid_t euid = options->euid >= 0 ? (uid_t)options->euid : uid;
  gid_t gid = options->gid >= 0 ? (gid_t)options->gid : (gid_t)-1;
  gid_t egid = options->egid >= 0 ? (gid_t)options->egid : gid;
  bool changes = uid != (uid_t)-1 || euid != (uid_t)-1 || gid != (gid_t)-1 || egid != (gid_t)-1 ||
                 options->group_count > 0;
  if (changes && setgroups((size_t)options->group_count, options->groups) != 0) {
    attack_fail("setgroups");
  }
  if (setresgid(gid, egid, egid) != 0) attack_fail("setresgid");
  if (setresuid(uid, euid, euid) != 0) attack_fail("setresuid");
}

void swap_ids(void) {
  uid_t uid, euid, saved_uid;
  gid_t gid, egid, saved_gid;
  if (getresuid(&uid, &euid, &saved_uid) != 0 || getresgid(&gid, &egid, &saved_gid) != 0 ||
      setresgid(egid, gid, saved_gid) != 0 || setresuid(euid, uid, saved_uid) != 0) {
    attack_fail("swapping ids");
  }
}

void take_title(const char* text, int argc, char** argv) {
  char name[16] = "";
  char* title = strdup(text);
  size_t room = (size_t)(argv[argc - 1] + strlen(argv[argc - 1]) - argv[0]);
  const char* base = strrchr(title, '/');
  snprintf(name, sizeof(name), "%s", base != NULL ? base + 1 : title);
  memset(argv[0], 0, room);
  memcpy(argv[0], title, strlen(title) < room ? strlen(title) : room);
  prctl(PR_SET_NAME, name);
}
