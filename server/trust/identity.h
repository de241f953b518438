// SPDX-License-Identifier: Apache-2.0
// What the door goes by: the collector's own certificate, whom it believes, and who
// was revoked. Follows the files as they change. For one thread.
#ifndef POSTERN_SERVER_TRUST_IDENTITY_H_
#define POSTERN_SERVER_TRUST_IDENTITY_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/pki/authority.h"
#include "common/tls/context.h"
#include "server/trust/trust_config.h"

namespace postern::server {

class Identity {
 public:
  static absl::StatusOr<Identity> Load(const TrustConfig& config);

  // For a connection that begins now.
  SSL_CTX* context() const { return context_.get(); }
  const pki::Revocations& revocations() const { return revocations_; }

  // Looks whether files were replaced, and renews the collector's own certificate
  // where that is Postern's to do; true where something else holds now. What
  // cannot be used is logged, and what was there before holds on.
  bool Refresh(absl::Time now);

 private:
  explicit Identity(const TrustConfig& config);

  absl::Status LoadContext();
  std::string RevocationsStamp() const;

  std::string pki_folder_;  // "": of an own CA
  tls::Files files_;
  tls::ContextPtr context_;
  pki::Revocations revocations_;
  std::string files_stamp_;
  std::string revocations_stamp_;
  absl::Time renewal_looked_ = absl::InfinitePast();
};

}  // namespace postern::server

#endif  // POSTERN_SERVER_TRUST_IDENTITY_H_
