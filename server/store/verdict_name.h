// SPDX-License-Identifier: Apache-2.0
#ifndef POSTERN_SERVER_STORE_VERDICT_NAME_H_
#define POSTERN_SERVER_STORE_VERDICT_NAME_H_

#include <cstdint>
#include <string>

namespace postern::server {

// The verdict (a v1::Event::Verdict) as JSON writes it: "would_deny". "" for
// none and for those of a newer version.
std::string VerdictName(int64_t verdict);

}  // namespace postern::server

#endif  // POSTERN_SERVER_STORE_VERDICT_NAME_H_
