/* SPDX-License-Identifier: Apache-2.0 */
/*
 * interpreter --run ADDRESS PORT FOLDER UID PROGRAM ARGV0 ARG...: runs PROGRAM in FOLDER
 * as UID, with exactly these arguments. Under any other name, with any arguments, it is
 * an interpreter that reads no script and connects to that address.
 */
#include "tests/support/attacks/attack.h"

static const char kTo[] = "POSTERN_TEST_TO";

int main(int argc, char** argv) {
  char address[INET6_ADDRSTRLEN];
  int port;

  if (argc > 7 && strcmp(argv[1], "--run") == 0) {
    char to[128];
    snprintf(to, sizeof(to), "%s %s", argv[2], argv[3]);
    uid_t uid = (uid_t)atoi(argv[5]);
    if (setenv(kTo, to, 1) != 0 || chdir(argv[4]) != 0) attack_fail(argv[4]);
    attack_become(uid, uid);
    execv(argv[6], argv + 7);
    attack_fail(argv[6]);
  }
  const char* to = getenv(kTo);
  if (to == NULL || sscanf(to, "%45s %d", address, &port) != 2) {
    fprintf(stderr, "interpreter: nowhere to connect to\n");
    return 2;
  }
  const union attack_address target = attack_parse(address, port);
  attack_report(&target, attack_connect_once(&target));
  return 0;
}
