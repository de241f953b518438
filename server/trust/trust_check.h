// SPDX-License-Identifier: Apache-2.0
// What can be said of the files that a configuration names before a collector runs by it.
#ifndef POSTERN_SERVER_TRUST_TRUST_CHECK_H_
#define POSTERN_SERVER_TRUST_TRUST_CHECK_H_

#include <string>

#include "absl/status/status.h"
#include "server/trust/trust_config.h"

namespace postern::server {

struct TrustCheck {
  absl::Status fault;  // for which the door would not open
  std::string note;    // what could not be looked at, and why; "": all was
};

// As the door does, with the rights of whoever asks: what only another user may read is
// no fault, but a note. Nothing where `config` neither names files nor needs any.
TrustCheck CheckTrust(const TrustConfig& config);

}  // namespace postern::server

#endif  // POSTERN_SERVER_TRUST_TRUST_CHECK_H_
