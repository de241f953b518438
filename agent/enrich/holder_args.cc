// SPDX-License-Identifier: Apache-2.0
#include "agent/enrich/holder_args.h"

#include <fstream>
#include <iterator>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "agent/sensor/decoder.h"
#include "bpf/abi/identity.h"

namespace postern::enrich {
namespace {

std::string Contents(uint32_t pid, absl::string_view file) {
  std::ifstream in(absl::StrCat("/proc/", pid, "/", file), std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

void AddArgs(absl::string_view bytes, v1::Event& event) {
  if (!bytes.empty() && bytes.back() == '\0') bytes.remove_suffix(1);
  for (absl::string_view arg : absl::StrSplit(bytes, '\0')) {
    event.add_args(sensor::PrintableText(arg));
  }
}

}  // namespace

void AddHolderArgs(v1::Event& event) {
  const bool found =
      event.kind() == v1::Event::PACKET_SOCKET || event.kind() == v1::Event::EARLIER_CONNECTION;
  if (!found || event.args_size() > 0 || !event.has_pid()) return;
  const std::string args = Contents(event.pid(), "cmdline");
  // After the arguments: they are of the process that has the name now.
  std::string comm = Contents(event.pid(), "comm");
  if (!comm.empty() && comm.back() == '\n') comm.pop_back();
  if (args.empty() || sensor::PrintableText(comm) != event.comm()) return;
  if (args.size() <= POSTERN_ARGS_BYTES) {
    AddArgs(args, event);
    return;
  }
  const absl::string_view all = args;
  AddArgs(all.substr(0, POSTERN_ARGS_HEAD_BYTES), event);
  event.set_args_cut_at(static_cast<uint32_t>(event.args_size()));
  event.set_args_omitted_bytes(static_cast<uint32_t>(all.size() - POSTERN_ARGS_BYTES));
  AddArgs(all.substr(all.size() - POSTERN_ARGS_TAIL_BYTES), event);
}

}  // namespace postern::enrich
