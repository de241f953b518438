// SPDX-License-Identifier: Apache-2.0
// Any bytes as what a client sends behind its certificate: how they are cut must make
// no difference.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "server/trust/message_watch.h"

namespace {

using postern::server::MessageWatch;

constexpr size_t kMost = 1000;

// The verdict on them in pieces of at most `cut`.
absl::Status See(absl::string_view bytes, size_t cut, int& opened) {
  MessageWatch watch(kMost);
  absl::Status status;
  while (!bytes.empty() && status.ok()) {
    status = watch.See(bytes.substr(0, cut));
    bytes.remove_prefix(std::min(cut, bytes.size()));
  }
  opened = watch.TakeOpened();
  return status;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const size_t cut = size_t{data[0]} % 32 + 1;
  // Most inputs would not get past the preface.
  const std::string bytes =
      absl::StrCat("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                   absl::string_view(reinterpret_cast<const char*>(data) + 1, size - 1));
  int opened_whole = 0;
  int opened_cut = 0;
  const absl::Status whole = See(bytes, bytes.size(), opened_whole);
  const absl::Status in_pieces = See(bytes, cut, opened_cut);
  if (whole != in_pieces || opened_whole != opened_cut) abort();
  return 0;
}
