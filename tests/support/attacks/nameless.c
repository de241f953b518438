/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nameless memfd|deleted FOLDER PROGRAM ARGUMENT…
 *
 * Becomes `PROGRAM ARGUMENT…` from a file without a name: a copy of it in memory,
 * or one in FOLDER that is deleted before it runs.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#include "tests/support/attacks/attack.h"

int main(int argc, char** argv) {
  char path[4096] = "";
  int copy;
  if (argc < 4 || (strcmp(argv[1], "memfd") != 0 && strcmp(argv[1], "deleted") != 0)) {
    fputs("usage: nameless memfd|deleted FOLDER PROGRAM ARGUMENT…\n", stderr);
    return 2;
  }
  if (strcmp(argv[1], "memfd") == 0) {
    copy = memfd_create("innocent", MFD_CLOEXEC);
  } else {
    snprintf(path, sizeof(path), "%s/deleted", argv[2]);
    copy = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
  }
  int original = open(argv[3], O_RDONLY | O_CLOEXEC);
  struct stat state;
  if (copy < 0 || original < 0 || fstat(original, &state) != 0) attack_fail(argv[3]);
  for (off_t left = state.st_size; left > 0;) {
    ssize_t bytes = sendfile(copy, original, NULL, (size_t)left);
    if (bytes <= 0) attack_fail("copying");
    left -= bytes;
  }
  if (path[0] != 0) {
    /* No file that is open for writing runs. */
    int again = open(path, O_RDONLY | O_CLOEXEC);
    if (again < 0 || unlink(path) != 0) attack_fail(path);
    close(copy);
    copy = again;
  }
  fexecve(copy, argv + 3, environ);
  attack_fail("fexecve");
}
