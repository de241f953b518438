// SPDX-License-Identifier: Apache-2.0
#include "common/tls/openssl.h"

#include <openssl/err.h>

#include "absl/strings/str_cat.h"

namespace postern::tls {

absl::Status OpenSslStatus(absl::string_view what) {
  const unsigned long first = ERR_get_error();
  ERR_clear_error();
  const char* reason = first == 0 ? nullptr : ERR_reason_error_string(first);
  return absl::InvalidArgumentError(
      absl::StrCat(what, ": ", reason == nullptr ? "not accepted" : reason));
}

BioPtr ReadFrom(absl::string_view text) {
  return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

std::string Written(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return size <= 0 ? "" : std::string(data, static_cast<size_t>(size));
}

}  // namespace postern::tls
