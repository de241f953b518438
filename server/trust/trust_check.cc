// SPDX-License-Identifier: Apache-2.0
#include "server/trust/trust_check.h"

#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "server/trust/identity.h"

namespace postern::server {

TrustCheck CheckTrust(const TrustConfig& config) {
  if (config.files_line == 0) return {};
  const absl::Status loaded = Identity::Load(config).status();
  // Files are read in the order in which they say most: the CA's certificate first, the
  // keys last.
  if (absl::IsPermissionDenied(loaded) && geteuid() != 0) {
    return {.fault = absl::OkStatus(),
            .note = absl::StrCat(loaded.message(),
                                 "; that is as it should be, but nothing behind it was checked: "
                                 "check as root")};
  }
  return {.fault = loaded, .note = ""};
}

}  // namespace postern::server
