// SPDX-License-Identifier: Apache-2.0
// What the door goes by: the collector's own certificate, whom it believes, and who
// was revoked. Follows the files as they change. For one thread.
#ifndef POSTERN_SERVER_TRUST_IDENTITY_H_
#define POSTERN_SERVER_TRUST_IDENTITY_H_

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/pki/authority.h"
#include "common/tls/context.h"
#include "server/trust/bearer.h"
#include "server/trust/trust_config.h"

namespace postern::server {

class Identity {
 public:
  static absl::StatusOr<Identity> Load(const TrustConfig& config);

  // For a connection that begins now.
  SSL_CTX* context() const { return context_.get(); }
  bool own_ca() const { return pki_folder_.empty(); }
  // By Postern's CA, `bearer`'s certificate.
  bool IsRevoked(const Bearer& bearer) const;

  // Looks whether files were replaced, and renews the collector's own certificate
  // where that is Postern's to do; true where something else holds now. What
  // cannot be used is logged and tried again the next time, and what was there before
  // holds on. `now` is SteadyNow(), `wall` the time of day.
  bool Refresh(absl::Time now, absl::Time wall);

 private:
  explicit Identity(const TrustConfig& config);

  // What is read when its stamp changes.
  struct Followed {
    std::string stamp;
    std::string failure;  // of the last attempt, which is told once
  };
  // Whether it was read anew.
  static bool Follow(Followed& followed, std::string stamp, const char* otherwise,
                     const std::function<absl::Status()>& load);

  absl::Status LoadContext();
  absl::Status LoadRevocations();
  std::string RevocationsStamp() const;

  std::string pki_folder_;  // "": of an own CA
  tls::Files files_;
  tls::ContextPtr context_;
  pki::Revocations revocations_;
  Followed followed_files_;
  Followed followed_revocations_;
  absl::Time renewal_looked_ = absl::InfinitePast();
};

}  // namespace postern::server

#endif  // POSTERN_SERVER_TRUST_IDENTITY_H_
