/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bind_over root|userns UID SOURCE TARGET ADDRESS PORT
 *
 * In a mount namespace of its own, binds SOURCE over TARGET (a path that the
 * policy allows) and becomes `TARGET ADDRESS PORT` as UID. userns: as any user
 * can, by way of a user namespace in which it maps itself.
 */
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>

#include "tests/support/attacks/attack.h"

static void write_file(const char* path, const char* text) {
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0 || write(fd, text, strlen(text)) < 0) attack_fail(path);
  close(fd);
}

int main(int argc, char** argv) {
  if (argc != 7 || (strcmp(argv[1], "root") != 0 && strcmp(argv[1], "userns") != 0)) {
    fputs("usage: bind_over root|userns UID SOURCE TARGET ADDRESS PORT\n", stderr);
    return 2;
  }
  int userns = strcmp(argv[1], "userns") == 0;
  uid_t uid = (uid_t)atoi(argv[2]);
  alarm(60);
  if (userns) {
    char map[64];
    if (uid != getuid()) attack_become(uid, uid);
    prctl(PR_SET_DUMPABLE, 1); /* else /proc/self/uid_map is root's */
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) attack_fail("unshare");
    snprintf(map, sizeof(map), "%u %u 1", uid, uid);
    write_file("/proc/self/uid_map", map);
  } else if (unshare(CLONE_NEWNS) != 0) {
    attack_fail("unshare");
  }
  if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) attack_fail("mount");
  if (mount(argv[3], argv[4], NULL, MS_BIND, NULL) != 0) attack_fail(argv[4]);
  if (!userns && uid != getuid()) attack_become(uid, uid);
  execl(argv[4], argv[4], argv[5], argv[6], (char*)NULL);
  attack_fail(argv[4]);
}
