// SPDX-License-Identifier: Apache-2.0
// How this host comes by its certificate: once by a join token, and from then on by
// the certificate that it has. Both leave, in the folder STATE_DIR/tls (0700),
//
//   ca.pem      whom to believe
//   agent.pem   the certificate and its key, in one file: one rename replaces both
//
// The key is made here, a new one each time, and never leaves the host. Blocks.
#ifndef POSTERN_AGENT_ENROLMENT_ENROL_H_
#define POSTERN_AGENT_ENROLMENT_ENROL_H_

#include <string>

#include "absl/status/status.h"
#include "common/tls/context.h"

namespace postern::enrolment {

// Where they are, whether or not they are there yet.
tls::Files EnrolledFiles(const std::string& state_dir);

struct Token {
  std::string address;  // HOST:PORT of a collector
  std::string token;
  std::string ca_pin;  // SHA-256 of the CA's certificate
};
// For `host`, as this agent calls itself; a token for another is refused, and not used up.
// Gives the token to nobody whose certificate is not of the CA with that fingerprint.
// InvalidArgument: it is no such address or fingerprint. `state_dir` is there.
absl::Status Enrol(const Token& token, const std::string& host, const std::string& state_dir);

// With the certificate that the host has, at `address`.
absl::Status Renew(const std::string& address, const std::string& state_dir);

}  // namespace postern::enrolment

#endif  // POSTERN_AGENT_ENROLMENT_ENROL_H_
