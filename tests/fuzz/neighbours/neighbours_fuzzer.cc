// SPDX-License-Identifier: Apache-2.0
// Whatever the listings, settings and logs of others hold: a note is one line of
// printable text, there are not many, and none is long. The input's first byte says
// which of them it is.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "agent/coexist/denials.h"
#include "agent/coexist/iptables.h"
#include "agent/coexist/nftables.h"
#include "agent/coexist/settings.h"

namespace {

using postern::coexist::Ports;

std::vector<std::string> NotesOf(uint8_t kind, absl::string_view text) {
  static const Ports ports = {25, 465, 587};
  const auto lines = absl::StrSplit(text, '\n');
  postern::coexist::PacketRules rules("tool");
  switch (kind % 6) {
    case 0: {
      postern::coexist::IptablesListing listing(ports, "ip", &rules);
      for (const absl::string_view line : lines) listing.AddLine(line);
      return rules.Notes();
    }
    case 1: {
      postern::coexist::NftListing listing(ports, {}, &rules);
      for (const absl::string_view line : lines) listing.AddLine(line);
      return rules.Notes();
    }
    case 2:
      return postern::coexist::CsfNotes(text, "path");
    case 3:
      return postern::coexist::Imunify360Notes(text, "path");
    case 4:
      return postern::coexist::FirewalldNotes(ports, text, "path");
    default: {
      postern::coexist::Denials denials({"/sys/fs/bpf/postern"}, absl::InfinitePast());
      for (const absl::string_view line : lines) denials.AddLine(line, "path");
      return denials.Notes();
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const absl::string_view text(reinterpret_cast<const char*>(data + 1), size - 1);
  const std::vector<std::string> notes = NotesOf(data[0], text);
  if (notes.size() > 10) abort();
  for (const std::string& note : notes) {
    if (note.empty() || note.size() > 1500) abort();
    for (const char c : note) {
      if (!absl::ascii_isprint(static_cast<unsigned char>(c))) abort();
    }
  }
  return 0;
}
