/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/attacks/raw/segment.h"

#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>

#include "tests/support/attacks/raw/source_port.h"

/* RFC 1071, over what `sum` stands for already. */
static uint32_t add_words(uint32_t sum, const void* bytes, size_t count) {
  const uint8_t* byte = bytes;
  for (size_t i = 0; i + 1 < count; i += 2) sum += (uint32_t)byte[i] << 8 | byte[i + 1];
  return sum;
}

static uint16_t fold(uint32_t sum) {
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return htons((uint16_t)~sum);
}

/* RFC 793 and RFC 8200: addresses, length and protocol go before the segment. */
static void write_tcp(struct tcphdr* tcp, const void* addresses, size_t address_bytes, int port) {
  memset(tcp, 0, sizeof(*tcp));
  tcp->source = htons(SEGMENT_SOURCE_PORT);
  tcp->dest = (uint16_t)port;
  tcp->seq = htonl(1);
  tcp->doff = sizeof(*tcp) / 4;
  tcp->syn = 1;
  tcp->window = htons(1024);
  uint32_t sum = add_words(sizeof(*tcp) + IPPROTO_TCP, addresses, address_bytes);
  tcp->check = fold(add_words(sum, tcp, sizeof(*tcp)));
}

static size_t write_ipv4(const struct sockaddr_in* to, uint8_t* packet) {
  struct iphdr* ip = (struct iphdr*)packet;
  memset(ip, 0, sizeof(*ip));
  ip->version = 4;
  ip->ihl = sizeof(*ip) / 4;
  ip->tot_len = htons(sizeof(*ip) + sizeof(struct tcphdr));
  ip->id = htons(1);
  ip->ttl = 64;
  ip->protocol = IPPROTO_TCP;
  ip->daddr = to->sin_addr.s_addr;
  /* A neighbour: no host takes packets from a wire that claim to be its own. */
  ip->saddr = htonl((ntohl(ip->daddr) & 0xffffff00U) | 77);
  ip->check = fold(add_words(0, ip, sizeof(*ip)));
  write_tcp((struct tcphdr*)(ip + 1), &ip->saddr, 8, to->sin_port);
  return sizeof(*ip) + sizeof(struct tcphdr);
}

static size_t write_ipv6(const struct sockaddr_in6* to, uint8_t* packet) {
  struct ipv6hdr* ip = (struct ipv6hdr*)packet;
  memset(ip, 0, sizeof(*ip));
  ip->version = 6;
  ip->payload_len = htons(sizeof(struct tcphdr));
  ip->nexthdr = IPPROTO_TCP;
  ip->hop_limit = 64;
  ip->daddr = to->sin6_addr;
  ip->saddr = to->sin6_addr;
  write_tcp((struct tcphdr*)(ip + 1), &ip->saddr, 32, to->sin6_port);
  return sizeof(*ip) + sizeof(struct tcphdr);
}

size_t segment_write(const union attack_address* to, uint8_t packet[128]) {
  return to->any.sa_family == AF_INET ? write_ipv4(&to->v4, packet) : write_ipv6(&to->v6, packet);
}

size_t segment_header_bytes(const union attack_address* to) {
  return to->any.sa_family == AF_INET ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);
}
