/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LD_PRELOAD=preload.so (or LD_AUDIT=preload.so) ATTACK_ADDRESS=… ATTACK_PORT=… PROGRAM
 *
 * Connects from inside another program before its main, prints the attempt's
 * line, and ends that program.
 */
#include "tests/support/attacks/attack.h"

unsigned la_version(unsigned version);
/* What makes it a library for LD_AUDIT too (rtld-audit(7)). */
unsigned la_version(unsigned version) { return version; }

__attribute__((constructor)) static void connect_from_inside(void) {
  const char* text = getenv("ATTACK_ADDRESS");
  const char* port = getenv("ATTACK_PORT");
  if (text == NULL || port == NULL) return;
  union attack_address address = attack_parse(text, atoi(port));
  attack_report(&address, attack_connect_once(&address));
  _exit(0);
}
