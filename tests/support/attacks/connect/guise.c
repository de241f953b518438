/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/attacks/connect/guise.h"

#include <sched.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "tests/support/attacks/attack.h"

void enter_user_namespace(void) {
  if (unshare(CLONE_NEWUSER) != 0) attack_fail("unshare(CLONE_NEWUSER)");
}

void enter_container(unsigned deadline) {
  if (unshare(CLONE_NEWPID | CLONE_NEWCGROUP) != 0) attack_fail("unshare(CLONE_NEWPID)");
  pid_t child = fork();
  if (child < 0) attack_fail("fork");
  if (child == 0) {
    alarm(deadline);
    return;
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  exit(WIFEXITED(status) ? WEXITSTATUS(status) : 2);
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
