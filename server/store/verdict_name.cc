// SPDX-License-Identifier: Apache-2.0
#include "server/store/verdict_name.h"

#include "absl/strings/ascii.h"
#include "postern/v1/event.pb.h"

namespace postern::server {

std::string VerdictName(int64_t verdict) {
  if (verdict <= v1::Event::VERDICT_UNSPECIFIED || verdict > v1::Event::Verdict_MAX) return "";
  return absl::AsciiStrToLower(v1::Event::Verdict_Name(static_cast<v1::Event::Verdict>(verdict)));
}

}  // namespace postern::server
