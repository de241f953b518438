// SPDX-License-Identifier: Apache-2.0
#include "agent/sensor/decoder.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "bpf/abi/event.h"
#include "common/event_kind.h"

namespace postern::sensor {
namespace {

constexpr uint32_t kNoLoginUid = 0xffffffff;
constexpr uint8_t kProtocolPastOneByte = 255;

v1::Event::Verdict VerdictFrom(uint8_t verdict) {
  switch (verdict) {
    case POSTERN_VERDICT_ALLOWED:
      return v1::Event::ALLOWED;
    case POSTERN_VERDICT_DENIED:
      return v1::Event::DENIED;
    case POSTERN_VERDICT_WOULD_DENY:
      return v1::Event::WOULD_DENY;
    case POSTERN_VERDICT_REDIRECTED:
      return v1::Event::REDIRECTED;
    case POSTERN_VERDICT_WOULD_REDIRECT:
      return v1::Event::WOULD_REDIRECT;
    case POSTERN_VERDICT_OVER_LIMIT:
      return v1::Event::OVER_LIMIT;
    default:
      return v1::Event::VERDICT_UNSPECIFIED;
  }
}

v1::Event::Identity IdentityFrom(uint8_t source) {
  switch (source) {
    case POSTERN_IDENTITY_EXEC:
      return v1::Event::EXEC;
    case POSTERN_IDENTITY_SEEDED:
      return v1::Event::SEEDED;
    default:
      return v1::Event::MM;
  }
}

void SetDestination(const uint8_t (&address)[16], uint8_t family, uint16_t port, v1::Event& event) {
  char text[INET6_ADDRSTRLEN] = "";
  if (family == AF_INET) {
    inet_ntop(AF_INET, address + 12, text, sizeof(text));
    event.set_family("ipv4");
  } else if (family == AF_INET6) {
    inet_ntop(AF_INET6, address, text, sizeof(text));
    event.set_family("ipv6");
  }
  event.set_destination(text);
  event.set_port(port);
}

std::string ProtocolName(uint8_t protocol) {
  switch (protocol) {
    case IPPROTO_TCP:
      return "tcp";
    case kProtocolPastOneByte:
      return "mptcp";
    default:
      return absl::StrCat(protocol);
  }
}

// Of raw sockets, whose protocol is that of IP.
std::string RawProtocolName(uint16_t protocol) {
  switch (protocol) {
    case IPPROTO_TCP:
      return "tcp";
    case IPPROTO_RAW:
      return "raw";
    case IPPROTO_ICMP:
    case IPPROTO_ICMPV6:
      return "icmp";
    default:
      return absl::StrCat(protocol);
  }
}

v1::Event::Kind KindFrom(uint16_t kind) {
  switch (kind) {
    case POSTERN_RECORD_RAW_SOCKET:
      return v1::Event::RAW_SOCKET;
    case POSTERN_RECORD_PACKET_SOCKET:
      return v1::Event::PACKET_SOCKET;
    case POSTERN_RECORD_EARLIER_CONNECTION:
      return v1::Event::EARLIER_CONNECTION;
    default:
      return v1::Event::CONNECT;
  }
}

std::string EthernetProtocolName(uint16_t protocol) {
  switch (protocol) {
    case 0:
      return "none";  // receives nothing, and may send
    case ETH_P_ALL:
      return "all";
    case ETH_P_IP:
      return "ip";
    case ETH_P_IPV6:
      return "ipv6";
    default:
      return absl::StrFormat("%04x", protocol);
  }
}

// Sockets that connect nowhere have a protocol in the place of the port.
void SetRawSocket(uint8_t family, uint16_t protocol, v1::Event& event) {
  if (family == AF_INET) event.set_family("ipv4");
  if (family == AF_INET6) event.set_family("ipv6");
  if (family == AF_PACKET) event.set_family("packet");
  event.set_protocol(family == AF_PACKET ? EthernetProtocolName(protocol)
                                         : RawProtocolName(protocol));
}

absl::string_view UpToNul(const char* bytes, size_t size) { return {bytes, strnlen(bytes, size)}; }

// The kernel keeps a path from the file to the root: "smtp/sbin/postfix/".
std::string PathFromWalk(absl::string_view walk, int text_flags) {
  if (!walk.empty() && walk.back() == '/') walk.remove_suffix(1);
  // One name, in no tree; it may hold slashes that mean nothing.
  if ((text_flags & POSTERN_TEXT_EXE_PSEUDO) != 0) return PrintableText(walk);
  const bool whole = (text_flags & POSTERN_TEXT_EXE_CUT) == 0;
  std::vector<absl::string_view> names = absl::StrSplit(walk, '/');
  std::reverse(names.begin(), names.end());
  return PrintableText(absl::StrCat(whole ? "/" : "", absl::StrJoin(names, "/")));
}

// What the wall clock said at a time since boot. Where that was set back to before the
// boot, which a suspended machine allows, it would lie before 1970: then 1970.
uint64_t WallTime(uint64_t boot_ns, int64_t offset_ns) {
  const uint64_t wall_ns = boot_ns + static_cast<uint64_t>(offset_ns);
  return static_cast<int64_t>(wall_ns) > 0 ? wall_ns : 1;
}

// Hands out the texts behind the fixed part, each checked against what is left.
class TextCursor {
 public:
  explicit TextCursor(absl::string_view bytes) : left_(bytes) {}

  bool Take(size_t size, absl::string_view& text) {
    if (size > left_.size()) return false;
    text = left_.substr(0, size);
    left_.remove_prefix(size);
    return true;
  }

 private:
  absl::string_view left_;
};

void AddArgs(absl::string_view bytes, v1::Event& event) {
  if (bytes.empty()) return;
  if (bytes.back() == '\0') bytes.remove_suffix(1);
  for (absl::string_view arg : absl::StrSplit(bytes, '\0')) event.add_args(PrintableText(arg));
}

absl::Status TooShort() {
  return absl::InvalidArgumentError("ring record is shorter than its lengths say");
}

absl::Status DecodeDescription(const postern_connect& connect, absl::string_view texts,
                               int64_t offset_ns, v1::Event& event) {
  const postern_description_head& head = connect.description;
  if (head.ancestors > POSTERN_ANCESTORS) {
    return absl::InvalidArgumentError("ring record has more ancestors than there can be");
  }
  TextCursor cursor(texts);
  for (int i = 0; i < head.ancestors; ++i) {
    absl::string_view bytes;
    if (!cursor.Take(sizeof(postern_ancestor), bytes)) return TooShort();
    postern_ancestor raw;
    memcpy(&raw, bytes.data(), sizeof(raw));
    if (raw.exe_bytes > sizeof(raw.exe)) return TooShort();
    v1::Ancestor* ancestor = event.add_ancestors();
    ancestor->set_pid(raw.pid);
    ancestor->set_comm(PrintableText(UpToNul(raw.comm, sizeof(raw.comm))));
    if (raw.exe_bytes > 0) {
      ancestor->set_exe(PathFromWalk({raw.exe, raw.exe_bytes}, raw.exe_flags));
    }
  }
  event.set_ancestors_omitted(head.ancestors_omitted);

  absl::string_view exe, script, args_head, args_tail;
  if (!cursor.Take(head.exe_bytes, exe) || !cursor.Take(head.script_bytes, script) ||
      !cursor.Take(head.args_head_bytes, args_head) ||
      !cursor.Take(head.args_tail_bytes, args_tail)) {
    return TooShort();
  }
  event.set_exe_cut((head.text_flags & POSTERN_TEXT_EXE_CUT) != 0);
  if (!exe.empty()) event.set_exe(PathFromWalk(exe, head.text_flags));
  event.set_script(PrintableText(script));
  AddArgs(args_head, event);
  if (!args_tail.empty()) {
    event.set_args_cut_at(static_cast<uint32_t>(event.args_size()));
    event.set_args_omitted_bytes(head.args_total - head.args_head_bytes - head.args_tail_bytes);
    AddArgs(args_tail, event);
  }

  if (head.exec_time != 0) event.set_exec_time_ns(WallTime(head.exec_time, offset_ns));
  if (head.exe_inode != 0) {
    v1::File* file = event.mutable_exe_file();
    file->set_device(absl::StrCat(head.exe_device >> 20, ":", head.exe_device & 0xfffff));
    file->set_inode(head.exe_inode);
    file->set_generation(head.exe_generation);
    file->set_change_time_ns(head.exe_change_time);
    file->set_owner(head.exe_owner);
    file->set_mode(head.exe_mode);
  }
  return absl::OkStatus();
}

absl::StatusOr<DecodedRecord> DecodeConnect(absl::string_view bytes, int64_t offset_ns) {
  postern_connect raw;
  if (bytes.size() < sizeof(raw)) return TooShort();
  memcpy(&raw, bytes.data(), sizeof(raw));

  DecodedRecord decoded;
  decoded.rule = raw.rule;
  v1::Event& event = decoded.event;
  event.set_kind((raw.flags & POSTERN_CONNECT_CANARY) != 0 ? v1::Event::CANARY
                                                           : KindFrom(raw.record.kind));
  event.set_time_ns(WallTime(raw.record.time, offset_ns));
  event.set_boot_time_ns(raw.record.time);
  event.set_seq(raw.record.sequence);
  event.set_verdict(VerdictFrom(raw.verdict));
  event.set_generation(raw.generation);
  event.set_pid(raw.tgid);
  event.set_tid(raw.tid);
  event.set_ppid(raw.ppid);
  event.set_uid(raw.uid);
  event.set_gid(raw.gid);
  event.set_euid(raw.euid);
  event.set_egid(raw.egid);
  if (raw.loginuid != kNoLoginUid) event.set_loginuid(raw.loginuid);
  if (raw.source == POSTERN_IDENTITY_EXEC) event.set_started_as(raw.started_as);
  event.set_comm(PrintableText(UpToNul(raw.comm, sizeof(raw.comm))));
  event.set_identity(IdentityFrom(raw.source));
  event.set_exe_trusted((raw.flags & POSTERN_CONNECT_EXE_TRUSTED) != 0);
  event.set_exe_unlinked((raw.flags & POSTERN_CONNECT_EXE_UNLINKED) != 0);
  event.set_in_container((raw.flags & POSTERN_CONNECT_CONTAINER) != 0);
  event.set_in_user_namespace((raw.flags & POSTERN_CONNECT_USER_NAMESPACE) != 0);
  event.set_destination_local((raw.flags & POSTERN_CONNECT_LOCAL) != 0);
  event.set_cgroup_id(raw.cgroup);
  event.set_user_namespace(raw.user_namespace);
  event.set_network_namespace(raw.network_namespace);
  event.set_socket(raw.socket);
  if (IsRaw(event.kind())) {
    SetRawSocket(raw.family, raw.port, event);
  } else {
    SetDestination(raw.destination, raw.family, raw.port, event);
    event.set_protocol(ProtocolName(raw.protocol));
  }
  absl::Status described = DecodeDescription(raw, bytes.substr(sizeof(raw)), offset_ns, event);
  if (!described.ok()) return described;
  return decoded;
}

absl::StatusOr<DecodedRecord> DecodeRepeats(absl::string_view bytes, int64_t offset_ns) {
  postern_repeats raw;
  if (bytes.size() < sizeof(raw)) return TooShort();
  memcpy(&raw, bytes.data(), sizeof(raw));

  DecodedRecord decoded;
  decoded.is_repeats = true;
  decoded.first_seq = raw.first;
  decoded.rule = raw.rule;
  v1::Event& event = decoded.event;
  event.set_kind(KindFrom(raw.kind));
  event.set_time_ns(WallTime(raw.record.time, offset_ns));
  event.set_boot_time_ns(raw.record.time);
  event.set_last_time_ns(WallTime(raw.last_time, offset_ns));
  event.set_seq(raw.record.sequence);
  // Of the attempts counted here, the event itself is the first.
  event.set_repeats(raw.count == 0 ? 0 : raw.count - 1);
  event.set_verdict(VerdictFrom(raw.verdict));
  event.set_generation(raw.generation);
  event.set_uid(raw.uid);
  if (raw.tgid != 0) event.set_pid(raw.tgid);
  if ((raw.flags & POSTERN_REPEATS_SPREAD) != 0) {
    event.set_destinations_not_kept(true);
  }
  if (IsRaw(event.kind())) {
    SetRawSocket(raw.family, raw.port, event);
  } else if (event.destinations_not_kept()) {
    event.set_port(raw.port);
  } else {
    SetDestination(raw.destination, raw.family, raw.port, event);
  }
  return decoded;
}

}  // namespace

absl::StatusOr<DecodedRecord> Decode(absl::Span<const std::byte> bytes,
                                     int64_t boot_to_wall_offset_ns) {
  postern_record header;
  if (bytes.size() < sizeof(header)) return TooShort();
  memcpy(&header, bytes.data(), sizeof(header));
  if (header.version > POSTERN_ABI_VERSION) {
    return absl::UnimplementedError(absl::StrCat("ring record of version ", header.version,
                                                 ", newer than this agent's ",
                                                 POSTERN_ABI_VERSION));
  }
  if (header.bytes < sizeof(header) || header.bytes > bytes.size()) return TooShort();
  const absl::string_view used(reinterpret_cast<const char*>(bytes.data()), header.bytes);
  switch (header.kind) {
    case POSTERN_RECORD_CONNECT:
    case POSTERN_RECORD_RAW_SOCKET:
    case POSTERN_RECORD_PACKET_SOCKET:
    case POSTERN_RECORD_EARLIER_CONNECTION:
      return DecodeConnect(used, boot_to_wall_offset_ns);
    case POSTERN_RECORD_REPEATS:
      return DecodeRepeats(used, boot_to_wall_offset_ns);
    default:
      return absl::UnimplementedError(absl::StrCat("ring record of unknown kind ", header.kind));
  }
}

}  // namespace postern::sensor
