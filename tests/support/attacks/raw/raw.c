/* SPDX-License-Identifier: Apache-2.0 */
/*
 * raw [OPTION…] WAY ADDRESS PORT
 *
 * Sends a TCP SYN of its own making, which no connect() is asked for. WAY:
 *   tcp       a raw socket of protocol TCP; the kernel writes the IP header
 *   raw       one of protocol RAW
 *   cut       one of protocol 262, of which the header has room for 6, TCP
 *   extension IPv6: one of the protocol of an extension header, with TCP behind it
 *   icmp      one of protocol ICMP, told that headers are included
 *   ping      the same without being told so, and an ICMP echo: honest
 *   packet    AF_PACKET, a whole frame, by loopback
 *   cooked    AF_PACKET, the kernel writes the frame's header
 *   bypass    AF_PACKET, past the queueing discipline (PACKET_QDISC_BYPASS)
 *   obsolete  AF_INET and SOCK_PACKET, which is AF_PACKET
 * --uid=N     as that user, who keeps CAP_NET_RAW
 * --compat    setsockopt(2) as a 32-bit program calls it
 * --level=raw names IPV6_HDRINCL at the level of raw sockets, not of IPv6
 * --count=N   that many sockets, one after the other; only the last line is printed
 * --stay      keeps the last socket until the end of standard input
 *
 * Prints attack.h's line; result is the errno of the first call that failed.
 */
#include <getopt.h>
#include <linux/capability.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/ip.h>
#include <net/if.h>
#include <netinet/icmp6.h>
#include <stdbool.h>
#include <sys/prctl.h>

#include "tests/support/attacks/raw/segment.h"

#ifndef IPV6_HDRINCL
#define IPV6_HDRINCL 36
#endif
#define I386_SETSOCKOPT 366
#define ICMP_ECHO_REQUEST 8 /* RFC 792 */

static struct {
  const char* way;
  union attack_address to;
  uid_t uid;
  long count;
  bool compat;
  bool level_raw;
  bool stay;
} options = {.count = 1};

static bool way_is(const char* name) { return strcmp(options.way, name) == 0; }

static void keep_only_net_raw(uid_t uid) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct data[2] = {
      {.effective = 1U << CAP_NET_RAW, .permitted = 1U << CAP_NET_RAW}};
  if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0) attack_fail("PR_SET_KEEPCAPS");
  attack_become(uid, uid);
  if (syscall(SYS_capset, &header, data) != 0) attack_fail("capset");
}

/* int 0x80 takes addresses of 32 bits: this program is not position independent. */
static int set_option(int fd, int level, int name) {
  static int on = 1;
  static socklen_t length = sizeof(on);
  if (!options.compat) return setsockopt(fd, level, name, &on, length);
  long result = I386_SETSOCKOPT;
  __asm__ volatile("int $0x80"
                   : "+a"(result)
                   : "b"(fd), "c"(level), "d"(name), "S"(&on), "D"(length)
                   : "memory", "r8", "r9", "r10", "r11");
  if (result >= 0) return 0;
  errno = (int)-result;
  return -1;
}

static int include_headers(int fd) {
  if (options.to.any.sa_family == AF_INET) return set_option(fd, IPPROTO_IP, IP_HDRINCL);
  return set_option(fd, options.level_raw ? IPPROTO_RAW : IPPROTO_IPV6, IPV6_HDRINCL);
}

static int open_ip(void) {
  const int family = options.to.any.sa_family;
  int protocol = family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6;
  if (way_is("tcp")) protocol = IPPROTO_TCP;
  if (way_is("raw")) protocol = IPPROTO_RAW;
  if (way_is("cut")) protocol = 0x100 | IPPROTO_TCP;
  if (way_is("extension")) protocol = IPPROTO_DSTOPTS;
  int fd = socket(family, SOCK_RAW | SOCK_CLOEXEC, protocol);
  if (fd < 0 || !way_is("icmp") || include_headers(fd) == 0) return fd;
  int error = errno;
  close(fd);
  errno = error;
  return -1;
}

static int open_packet(void) {
  if (way_is("obsolete")) {
    return socket(AF_INET, SOCK_PACKET | SOCK_CLOEXEC, htons(ETH_P_LOOPBACK));
  }
  int fd = socket(AF_PACKET, (way_is("cooked") ? SOCK_DGRAM : SOCK_RAW) | SOCK_CLOEXEC, 0);
  const int on = 1;
  if (fd >= 0 && way_is("bypass") &&
      setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof(on)) != 0) {
    attack_fail("PACKET_QDISC_BYPASS");
  }
  return fd;
}

static ssize_t send_ip(int fd) {
  uint8_t packet[128];
  size_t bytes = segment_write(&options.to, packet), skip = 0;
  union attack_address to = options.to;
  /* A raw socket of IPv6 takes the protocol here, or nothing. */
  if (to.any.sa_family == AF_INET6) to.v6.sin6_port = 0;
  if (way_is("ping")) {
    memset(packet, 0, sizeof(packet));
    packet[0] = to.any.sa_family == AF_INET ? ICMP_ECHO_REQUEST : ICMP6_ECHO_REQUEST;
    bytes = 8;
  } else if (way_is("extension")) {
    /* RFC 8200, section 4.6: what follows, eight bytes in all, and padding (PadN). */
    const uint8_t header[] = {IPPROTO_TCP, 0, 1, 4, 0, 0, 0, 0};
    skip = segment_header_bytes(&options.to) - sizeof(header);
    memcpy(packet + skip, header, sizeof(header));
  } else if (way_is("tcp") || way_is("cut")) {
    skip = segment_header_bytes(&options.to);
    union attack_address from = {.v4 = {.sin_family = AF_INET}};
    memcpy(&from.v4.sin_addr, packet + offsetof(struct iphdr, saddr), sizeof(from.v4.sin_addr));
    /* The segment's sum is over this address. */
    if (to.any.sa_family == AF_INET && bind(fd, &from.any, sizeof(from.v4)) != 0) return -1;
  }
  if (way_is("cut")) {
    /* sendto(2) wants the protocol in a byte. */
    if (connect(fd, &to.any, attack_length(&to)) != 0) return -1;
    return send(fd, packet + skip, bytes - skip, 0);
  }
  return sendto(fd, packet + skip, bytes - skip, 0, &to.any, attack_length(&to));
}

static ssize_t send_packet(int fd) {
  uint8_t frame[ETH_HLEN + 128] = {0};
  uint16_t type = htons(options.to.any.sa_family == AF_INET ? ETH_P_IP : ETH_P_IPV6);
  size_t bytes = segment_write(&options.to, frame + ETH_HLEN);
  struct sockaddr_ll link = {
      .sll_family = AF_PACKET,
      .sll_protocol = type,
      .sll_ifindex = (int)if_nametoindex("lo"),
      .sll_halen = ETH_ALEN,
  };
  struct sockaddr spkt = {.sa_family = AF_INET, .sa_data = "lo"};
  struct {
    struct sockaddr any;
    uint16_t protocol;
  } obsolete = {spkt, type};
  memcpy(frame + 2 * ETH_ALEN, &type, sizeof(type));
  if (way_is("cooked")) {
    return sendto(fd, frame + ETH_HLEN, bytes, 0, (struct sockaddr*)&link, sizeof(link));
  }
  if (way_is("obsolete")) {
    return sendto(fd, frame, ETH_HLEN + bytes, 0, (struct sockaddr*)&obsolete, 18);
  }
  return sendto(fd, frame, ETH_HLEN + bytes, 0, (struct sockaddr*)&link, sizeof(link));
}

static void parse(int argc, char** argv) {
  static const struct option known[] = {
      {"uid", required_argument, NULL, 'u'},   {"compat", no_argument, NULL, 'c'},
      {"level", required_argument, NULL, 'l'}, {"count", required_argument, NULL, 'n'},
      {"stay", no_argument, NULL, 's'},        {NULL, 0, NULL, 0},
  };
  for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
    if (option == 'u') options.uid = (uid_t)atoi(optarg);
    if (option == 'c') options.compat = true;
    if (option == 'l') options.level_raw = strcmp(optarg, "raw") == 0;
    if (option == 'n') options.count = atol(optarg);
    if (option == 's') options.stay = true;
    if (option == '?') exit(2);
  }
  if (argc - optind != 3) {
    fputs("usage: raw [OPTION...] WAY ADDRESS PORT\n", stderr);
    exit(2);
  }
  options.way = argv[optind];
  options.to = attack_parse(argv[optind + 1], atoi(argv[optind + 2]));
}

int main(int argc, char** argv) {
  int fd = -1, error = 0;
  parse(argc, argv);
  alarm(120);
  if (options.uid != 0) keep_only_net_raw(options.uid);
  const bool packet =
      way_is("packet") || way_is("cooked") || way_is("bypass") || way_is("obsolete");
  for (long i = 0; i < options.count; i++) {
    if (fd >= 0) close(fd);
    fd = packet ? open_packet() : open_ip();
    error = fd < 0 ? errno : 0;
  }
  if (fd >= 0 && (packet ? send_packet(fd) : send_ip(fd)) < 0) error = errno;
  attack_report(&options.to, error);
  char buffer[64];
  while (options.stay && read(STDIN_FILENO, buffer, sizeof(buffer)) > 0) {
  }
  return 0;
}
