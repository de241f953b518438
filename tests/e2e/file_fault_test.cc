// SPDX-License-Identifier: Apache-2.0
// Spools and stores that are damaged, or older copies of themselves.
#include <unistd.h>

#include <filesystem>
#include <iostream>
#include <random>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/e2e/faults.h"

namespace postern::lab {
namespace {

TEST_F(Faults, SpoolThatIsTruncatedOrHasFlippedBits) {
  ASSERT_NO_FATAL_FAILURE(StartBoth());
  ASSERT_NO_FATAL_FAILURE(StartCallers());
  const std::string spool = postern().state_dir() + "/spool.db";
  const int damages = Full() ? 30 : 6;
  int aside = 0;
  for (int round = 0; round < damages; ++round) {
    postern().StopCollector();
    EXPECT_TRUE(Eventually([&] { return Spooled() > 50; }));
    Meanwhile(200);
    // Half of the time with a log that was not written back.
    if (Chance()) {
      postern().KillAgent();
    } else {
      EXPECT_EQ(postern().StopAgent(), 0);
    }
    if (round % 3 == 0) {
      callers_->Remark("a truncated spool");
      fs::resize_file(
          spool, std::uniform_int_distribution<uintmax_t>(0, fs::file_size(spool) - 1)(random_));
    } else {
      callers_->Remark("flipped bits in the spool");
      FlipBits(spool, round % 3 == 1 ? 1 : 40);
    }
    ASSERT_NO_FATAL_FAILURE(postern().StartCollector());
    ASSERT_NO_FATAL_FAILURE(postern().StartAgent());
    if (absl::StrContains(postern().agent_log(), "set aside")) ++aside;
    EXPECT_TRUE(Eventually([&] { return Spooled() < 50; })) << postern().Status();
  }
  std::cout << damages << " damages, " << aside << " spools set aside\n";
  ExpectBooksOnRecord();
}

TEST_F(Faults, SpoolThatIsAnOlderCopyOfItself) {
  ASSERT_NO_FATAL_FAILURE(StartBoth());
  ASSERT_NO_FATAL_FAILURE(StartCallers());
  for (int round = 0; round < 3; ++round) {
    const auto stop_when_delivered = [&] {
      // Its last words are delivered too, or they would come twice.
      EXPECT_EQ(postern().StopAgent(), 0);
    };
    stop_when_delivered();
    const std::string copy = absl::StrCat(root(), "/copy", round);
    fs::copy(postern().state_dir(), copy, fs::copy_options::recursive);
    ASSERT_NO_FATAL_FAILURE(postern().StartAgent());
    Meanwhile(300);
    stop_when_delivered();
    Meanwhile(50);
    callers_->Remark("a rollback");
    fs::remove_all(postern().state_dir());
    fs::copy(copy, postern().state_dir(), fs::copy_options::recursive);
    ASSERT_NO_FATAL_FAILURE(postern().StartAgent());
    Meanwhile(100);
  }
  ExpectBooksOnRecord();
}

TEST_F(Faults, StoreThatIsAnOlderCopyOfItselfSaysThatItLacksSomething) {
  ASSERT_NO_FATAL_FAILURE(StartBoth());
  ASSERT_NO_FATAL_FAILURE(StartCallers());
  Meanwhile(200);
  const std::string backup = root() + "/backup.db";
  const support::Finished backed_up = postern().BackUpStore(backup);
  ASSERT_EQ(backed_up.exit_code, 0) << backed_up.error;
  const auto acknowledged = [&] {
    return postern().Status()["collector"].value("last_acknowledged", "");
  };
  const std::string before = acknowledged();
  EXPECT_TRUE(Eventually([&] { return acknowledged() > before; }));
  Meanwhile(300);
  EXPECT_EQ(postern().StopCollector(), 0);
  callers_->Remark("the store is replaced by its backup");
  RemoveStore();
  CopyStore(backup, postern().store());
  ASSERT_NO_FATAL_FAILURE(postern().StartCollector());
  Meanwhile(300);
  ExpectBooksOnRecord();
  const Answer answer = postern().Query();
  EXPECT_EQ(answer.exit_code, 3);
  EXPECT_TRUE(absl::StrContains(answer.Completeness().dump(), "elsewhere"))
      << answer.Completeness();
}

// Its catalog or a partition, cut or with flipped bits: never an answer that says it
// is whole and is not.

TEST_F(Faults, StoreThatIsDamagedIsNotTakenForWhole) {
  ASSERT_NO_FATAL_FAILURE(StartBoth());
  ASSERT_NO_FATAL_FAILURE(StartCallers());
  Meanwhile(400);
  EXPECT_EQ(postern().StopCollector(), 0);
  const std::string whole = root() + "/whole.db";
  CopyStore(postern().store(), whole);
  const std::string catalog = postern().store();
  const std::string partition = postern().store() + ".d/00000001.db";
  ASSERT_TRUE(fs::exists(partition));
  for (const std::string& file : {catalog, partition}) {
    for (const double left : {0.0001, 0.3, 0.6, 0.95, 1.0}) {
      SCOPED_TRACE(absl::StrCat(left, " of ", file));
      RemoveStore();
      CopyStore(whole, postern().store());
      if (left < 1) {
        fs::resize_file(file,
                        static_cast<uintmax_t>(static_cast<double>(fs::file_size(file)) * left));
      } else {
        FlipBits(file, 400);
      }
      postern().BeginCollector();
      if (postern().collector().WaitReady().ok()) {
        const Answer answer = postern().Query({"--limit=0"});
        EXPECT_NE(answer.exit_code, 0) << answer.Completeness();
        postern().KillCollector();
      } else {
        // One line, and the file as it was.
        EXPECT_EQ(postern().collector().Wait().value_or(-1), 1);
        EXPECT_TRUE(absl::StrContains(postern().collector_log(), "events.db"))
            << postern().collector_log();
      }
    }
  }
  callers_->Remark("the store is put back");
  RemoveStore();
  CopyStore(whole, postern().store());
  ASSERT_NO_FATAL_FAILURE(postern().StartCollector());
  ExpectBooksOnRecord();
}

}  // namespace
}  // namespace postern::lab
