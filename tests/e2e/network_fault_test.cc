// SPDX-License-Identifier: Apache-2.0
// A network that is cut, or loses what it carries.
#include <arpa/inet.h>
#include <netinet/in.h>

#include <iostream>
#include <memory>
#include <string>

#include "tests/e2e/faults.h"
#include "tests/support/relay.h"

namespace postern::lab {
namespace {

constexpr int kCollectorPort = 7425;

// Between agent and collector lies a real wire: TCP across the link to the internet's
// namespace, with a relay at each end.
class FaultyNetwork : public Faults {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(Faults::SetUp());
    if (IsSkipped()) return;
    far_ = std::make_unique<support::Relay>(internet().Listen(kCollectorPort), [this] {
      return support::ConnectToUnix(postern().ingest_socket());
    });
    const std::string near = root() + "/near.sock";
    near_ = std::make_unique<support::Relay>(support::ListenOnUnix(near), [this] {
      UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      sockaddr_in address = {};
      address.sin_family = AF_INET;
      address.sin_port = htons(kCollectorPort);
      inet_pton(AF_INET, internet().v4().c_str(), &address.sin_addr);
      if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
        fd.reset();
      }
      return fd;
    });
    Configure("unix:" + near);
    ASSERT_NO_FATAL_FAILURE(StartBoth());
    ASSERT_NO_FATAL_FAILURE(StartCallers());
  }

  void TearDown() override {
    if (!IsSkipped() && postern().agent_runs()) {
      EXPECT_EQ(postern().StopAgent(), 0);
    }
    near_.reset();
    far_.reset();
    Faults::TearDown();
  }

  std::unique_ptr<support::Relay> far_, near_;
};

TEST_F(FaultyNetwork, LinkThatGoesDownAndUp) {
  for (int round = 0; round < 3; ++round) {
    Meanwhile(200);
    callers_->Remark("the link goes down");
    internet().SetLink(false);
    EXPECT_TRUE(Eventually([&] { return Spooled() > 0; }));
    callers_->AwaitEach(10);
    internet().SetLink(true);
    if (Full()) {
      // Long enough that both ends give the connection up.
      internet().SetLink(false);
      EXPECT_TRUE(
          Eventually([&] { return !postern().Status()["collector"].value("connected", true); },
                     absl::Minutes(2)));
      internet().SetLink(true);
    }
  }
  ExpectBooksOnRecord();
}

TEST_F(FaultyNetwork, ConnectionsThatAreCutInTheMiddle) {
  for (int round = 0; round < Rounds(); ++round) {
    Meanwhile(100);
    callers_->Remark("a cut");
    (Chance() ? near_ : far_)->Cut();
  }
  std::cout << Rounds() << " cuts\n";
  ExpectBooksOnRecord();
}

// What was committed and not yet acknowledged when the cable was pulled comes once: the
// old connection is gone before the agent could take itself for a clone.

TEST_F(FaultyNetwork, CableThatIsPulledWithoutAWord) {
  if (!Full()) GTEST_SKIP() << "takes minutes; --full has them";
  for (int round = 0; round < 3; ++round) {
    Meanwhile(200);
    callers_->Remark("a frozen link");
    // What comes back is held up; the collector goes on to read and to commit.
    near_->Freeze(true);
    EXPECT_TRUE(
        Eventually([&] { return !postern().Status()["collector"].value("connected", true); },
                   absl::Minutes(2)));
    near_->Freeze(false);
    EXPECT_TRUE(
        Eventually([&] { return postern().Status()["collector"].value("connected", false); },
                   absl::Minutes(3)))
        << postern().Status();
  }
  ExpectBooksOnRecord();
}

TEST_F(FaultyNetwork, PacketsThatAreLostAndReordered) {
  const support::Finished added =
      support::RunToEnd({"tc", "qdisc", "add", "dev", internet().link(), "root", "netem", "delay",
                         "5ms", "loss", "5%", "reorder", "25%", "50%"});
  if (added.exit_code != 0) {
    GTEST_SKIP() << "this kernel has no netem: " << added.error;
  }
  callers_->AwaitEach(50);
  Meanwhile(1000);
  ExpectBooksOnRecord();
}

}  // namespace
}  // namespace postern::lab
