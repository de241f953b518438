// SPDX-License-Identifier: Apache-2.0
// Any command line: which script it runs, and what of it is a secret. The input
// is a byte that says where the line was cut (0: nowhere), then the binary and
// the arguments, each ended by a NUL.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "agent/enrich/script.h"
#include "agent/enrich/secrets.h"
#include "agent/sensor/decoder.h"
#include "postern/v1/event.pb.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  postern::v1::Event event;
  if (data[0] > 0) {
    event.set_args_omitted_bytes(1);
    event.set_args_cut_at(data[0] - 1u);
  }
  const absl::string_view text(reinterpret_cast<const char*>(data + 1), size - 1);
  for (const absl::string_view word : absl::StrSplit(text, '\0')) {
    event.add_args(postern::sensor::PrintableText(word));
  }
  event.set_exe(event.args(0));
  event.add_args("--password=secret");
  const int count = event.args_size();

  postern::v1::Event named;
  named.set_script(postern::enrich::ScriptFromArgs(event));
  postern::enrich::MaskSecrets(event);
  if (event.args_size() != count) abort();
  // Whatever stood before it; the whole of it where it may be the rest of a secret.
  const std::string& masked = event.args(count - 1);
  if (masked != "--password=***" && masked != "***") abort();
  // The wire refuses strings that are not UTF-8.
  named.MergeFrom(event);
  postern::v1::Event copy;
  if (!copy.ParseFromString(named.SerializeAsString())) abort();
  return 0;
}
