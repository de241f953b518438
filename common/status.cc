// SPDX-License-Identifier: Apache-2.0
#include "common/status.h"

#include <cstring>

#include "absl/strings/str_cat.h"

namespace postern {

absl::Status ErrnoStatus(int error, std::string_view what) {
  char buffer[128];
  // The GNU variant, which may or may not use the buffer.
  const char* text = strerror_r(error, buffer, sizeof(buffer));
  return absl::Status(absl::ErrnoToStatusCode(error),
                      absl::StrCat(absl::string_view(what.data(), what.size()), ": ", text));
}

}  // namespace postern
