// SPDX-License-Identifier: Apache-2.0
#include "agent/enrolment/renewal.h"

#include <algorithm>
#include <random>

#include "absl/strings/str_cat.h"
#include "agent/enrolment/enrol.h"
#include "common/log.h"
#include "common/small_file.h"
#include "common/tls/certificate.h"

namespace postern::enrolment {
namespace {

constexpr size_t kMaxFileBytes = size_t{64} << 10;
// How soon a certificate is seen that somebody put there.
constexpr absl::Duration kLookAgain = absl::Minutes(1);
constexpr absl::Duration kSoonest = absl::Seconds(1);
// The next attempts after one that failed: so many fit into what is left.
constexpr int kAttemptsLeft = 20;
// Of a certificate's time; agents that enrolled together need not renew together.
constexpr double kHalf = 0.5;
constexpr double kSpread = 0.1;

double Spread() {
  static thread_local std::minstd_rand random{std::random_device()()};
  return std::uniform_real_distribution<double>(0, kSpread)(random);
}

}  // namespace

Renewal::Renewal(Options options) : options_(std::move(options)), thread_([this] { Run(); }) {}

Renewal::~Renewal() {
  {
    MutexLock lock(&mutex_);
    stop_ = true;
    mutex_.NotifyAll();
  }
  thread_.join();
}

std::string Renewal::problem() const {
  MutexLock lock(&mutex_);
  return problem_;
}

void Renewal::Run() {
  while (true) {
    const absl::Duration wait = std::clamp(Turn() - options_.now(), kSoonest, kLookAgain);
    MutexLock lock(&mutex_);
    if (mutex_.AwaitFor(absl::ToChronoNanoseconds(wait),
                        [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return stop_; })) {
      return;
    }
  }
}

absl::Time Renewal::Turn() {
  const auto pem =
      ReadSmallFile(EnrolledFiles(options_.state_dir).cert, kMaxFileBytes, Links::kRefuse);
  if (!pem.ok()) return absl::InfiniteFuture();
  const auto chain = tls::ReadCertificates(*pem);
  if (!chain.ok()) return absl::InfiniteFuture();
  const absl::Time begins = tls::NotBefore(*chain->front());
  const absl::Time ends = tls::NotAfter(*chain->front());
  const absl::Time now = options_.now();
  const absl::Time due = begins + (ends - begins) * (kHalf + Spread());
  if (now < due) return due;

  absl::Status last;
  for (const std::string& address : options_.addresses) {
    last = options_.renew(address, options_.state_dir);
    if (last.ok()) {
      LogInfo("the certificate of this host is renewed");
      MutexLock lock(&mutex_);
      problem_.clear();
      return now;
    }
  }
  const bool over = now >= ends;
  MutexLock lock(&mutex_);
  problem_ = absl::StrCat(
      "the certificate of this host ", over ? "has ended " : "ends ",
      absl::FormatTime("%Y-%m-%d %H:%M UTC", ends, absl::UTCTimeZone()),
      " and is not renewed: ", last.message(),
      over ? "; enrol again with a new token (postern pki token, on the collector's machine)"
           : "; it is tried again");
  return now + std::max((ends - now) / kAttemptsLeft, kSoonest);
}

}  // namespace postern::enrolment
