/* SPDX-License-Identifier: GPL-2.0-only */
/* Where a connect goes, as the program asked. */
#ifndef POSTERN_BPF_HELPERS_DESTINATION_H_
#define POSTERN_BPF_HELPERS_DESTINATION_H_

#include "bpf/abi/policy.h"
#include "bpf/helpers/maps.h"

struct destination {
  struct postern_prefix prefix; /* all 128 bits: ready for the trie */
  __u16 port;
  __u8 family;
  bool local;
};

static __always_inline void destination_from_ipv4(struct destination *to, __u32 address) {
  __builtin_memset(to->prefix.address, 0, 10);
  to->prefix.address[10] = to->prefix.address[11] = 0xff;
  __builtin_memcpy(&to->prefix.address[12], &address, 4);
  to->family = AF_INET;
}

/* ctx->user_ip6 can only be read in words. */
static __always_inline void destination_from_ipv6(struct destination *to, const __u32 word[4]) {
  __builtin_memcpy(to->prefix.address, word, 16);
  to->family = word[0] == 0 && word[1] == 0 && word[2] == bpf_htonl(0xffff) ? AF_INET : AF_INET6;
}

/* Loopback, unspecified (which connects to loopback), or an address of this host. */
static __always_inline bool destination_is_local(const struct destination *to) {
  const __u8 *address = to->prefix.address;

  if (to->family == AF_INET) {
    if (address[12] == 127 || (address[12] | address[13] | address[14] | address[15]) == 0)
      return true;
  } else {
    __u8 rest = 0;
    for (int i = 0; i < 15; i++) rest |= address[i];
    if (rest == 0 && address[15] <= 1) return true;
  }
  return bpf_map_lookup_elem(&local_addresses, address) != 0;
}

#endif /* POSTERN_BPF_HELPERS_DESTINATION_H_ */
