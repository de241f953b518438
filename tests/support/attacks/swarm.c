/* SPDX-License-Identifier: Apache-2.0 */
/*
 * swarm COUNT UID CHILD ADDRESS PORT
 *
 * Forks COUNT processes of UID that wait at a barrier, lets all of them go at
 * once, and each becomes `CHILD index=N ADDRESS PORT` (swarm_child), so that its
 * argv says who it is. Prints `pid=… index=… result=…` for each.
 */
#include <fcntl.h>
#include <sys/wait.h>

#include "tests/support/attacks/attack.h"

int main(int argc, char** argv) {
  if (argc != 6) {
    fputs("usage: swarm COUNT UID CHILD ADDRESS PORT\n", stderr);
    return 2;
  }
  int count = atoi(argv[1]);
  uid_t uid = (uid_t)atoi(argv[2]);
  if (count < 1 || count > 20000) return 2;
  alarm(120);
  if (uid != getuid()) attack_become(uid, uid);
  int barrier[2];
  pid_t* pids = calloc((size_t)count, sizeof(*pids));
  if (pids == NULL || pipe2(barrier, O_CLOEXEC) != 0) attack_fail("pipe2");
  for (int i = 0; i < count; i++) {
    pids[i] = fork();
    if (pids[i] < 0) attack_fail("fork");
    if (pids[i] == 0) {
      char index[32];
      char byte;
      close(barrier[1]);
      snprintf(index, sizeof(index), "index=%d", i);
      while (read(barrier[0], &byte, 1) < 0 && errno == EINTR) {
      }
      execl(argv[3], argv[3], index, argv[4], argv[5], (char*)NULL);
      _exit(255);
    }
  }
  close(barrier[1]);
  for (int i = 0; i < count; i++) {
    int status = 0;
    if (waitpid(pids[i], &status, 0) != pids[i]) attack_fail("waitpid");
    int error = WIFEXITED(status) ? WEXITSTATUS(status) : 255;
    printf("pid=%d index=%d result=%s\n", pids[i], i, attack_errno(error));
  }
  return 0;
}
