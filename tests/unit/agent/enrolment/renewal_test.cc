// SPDX-License-Identifier: Apache-2.0
#include "agent/enrolment/renewal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>

#include "agent/enrolment/enrol.h"
#include "common/atomic_file.h"
#include "common/tls/certificate.h"
#include "tests/support/process.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/wall_clock.h"

namespace postern::enrolment {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class RenewalTest : public testing::Test {
 protected:
  RenewalTest() { mkdir((folder_ / "tls").c_str(), 0700); }

  // Of the host, as if enrolled so long ago.
  void Put(absl::Duration age, absl::Duration valid) {
    const tls::KeyPtr key = tls::MakeKey().value();
    tls::Issue issue;
    issue.common_name = "web1";
    issue.not_before = absl::Now() - age;
    issue.not_after = issue.not_before + valid;
    const tls::CertificatePtr certificate = tls::Sign(issue, *key, nullptr, *key).value();
    ASSERT_TRUE(WriteFileAtomically(EnrolledFiles(folder_.path()).cert,
                                    tls::ToPem(*certificate) + tls::ToPem(*key))
                    .ok());
  }
  std::unique_ptr<Renewal> Start(const absl::Status& outcome) {
    Renewal::Options options;
    options.addresses = {"a:1", "b:2"};
    options.state_dir = folder_.path();
    options.renew = [this, outcome](const std::string& address, const std::string&) {
      MutexLock lock(&mutex_);
      asked_.push_back(address);
      if (outcome.ok()) Put(absl::ZeroDuration(), absl::Hours(1));
      return outcome;
    };
    return std::make_unique<Renewal>(std::move(options));
  }
  std::vector<std::string> asked() {
    MutexLock lock(&mutex_);
    return asked_;
  }

  TemporaryFolder folder_;
  Mutex mutex_;
  std::vector<std::string> asked_ ABSL_GUARDED_BY(mutex_);
};

TEST_F(RenewalTest, CertificatePastHalfOfItsTimeIsRenewedOnce) {
  Put(absl::Minutes(40), absl::Hours(1));
  const auto renewal = Start(absl::OkStatus());
  EXPECT_TRUE(support::Eventually([&] { return !asked().empty(); }));
  EXPECT_THAT(renewal->problem(), IsEmpty());
  EXPECT_THAT(asked(), ElementsAre("a:1"));
}

TEST_F(RenewalTest, CollectorThatDoesNotRenewGivesWayToTheNextAndIsTold) {
  Put(absl::Minutes(40), absl::Hours(1));
  const auto renewal = Start(absl::UnavailableError("Connection refused"));
  EXPECT_TRUE(support::Eventually([&] { return !renewal->problem().empty(); }));
  EXPECT_THAT(asked(), ElementsAre("a:1", "b:2"));
  EXPECT_THAT(renewal->problem(), AllOf(HasSubstr("the certificate of this host ends "),
                                        HasSubstr("Connection refused; it is tried again")));
}

TEST_F(RenewalTest, CertificateThatHasEndedWantsANewToken) {
  Put(absl::Hours(2), absl::Hours(1));
  const auto renewal = Start(absl::PermissionDeniedError("it has expired"));
  EXPECT_TRUE(support::Eventually([&] { return !renewal->problem().empty(); }));
  EXPECT_THAT(renewal->problem(),
              AllOf(HasSubstr("has ended"), HasSubstr("enrol again with a new token")));
}

TEST_F(RenewalTest, NextAttemptWaitsForNoClockThatIsSet) {
  support::MoveWallClock(absl::Hours(1));
  // What is left is worth an attempt each second.
  Put(absl::Seconds(40), absl::Minutes(1));
  const auto renewal = Start(absl::UnavailableError("Connection refused"));
  // Of two addresses each. A wait until a time of day would now take an hour.
  EXPECT_TRUE(support::Eventually([&] { return asked().size() >= 4; }));
  support::MoveWallClock(absl::ZeroDuration());
}

}  // namespace
}  // namespace postern::enrolment
