// SPDX-License-Identifier: Apache-2.0
// Whatever breaks between a connect and the collector's answers: every attempt in the
// books of those who made it is on record once, or told of as missing.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <random>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/support/lab/callers.h"
#include "tests/support/lab/lab.h"
#include "tests/support/relay.h"

namespace postern::lab {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr int kCollectorPort = 7425;

bool Full() { return getenv("POSTERN_FULL") != nullptr; }
// In --full as the issue asks for, else what a change has time for.
int Rounds() { return Full() ? 200 : 20; }

class Faults : public Lab {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(Lab::SetUp());
    if (IsSkipped()) return;
    seed_ = std::random_device()();
    random_.seed(seed_);
    // To be seen again by whoever looks for what broke.
    std::cout << "seed " << seed_ << "\n";
    mailer_ = root() + "/mailer";
    fs::copy_file(Program("caller"), mailer_);
    Configure("");
  }

  void TearDown() override {
    callers_.reset();
    Lab::TearDown();
  }

  void Configure(const std::string& collector_address) {
    AgentConfig config;
    config.mode = "enforce";
    config.rules = absl::StrCat("  - name: mailer\n    user: postfix\n    exe: ", mailer_,
                                "\n    started_as: root\n    action: allow\n");
    config.collector_address = collector_address;
    postern().Configure(config);
  }

  void StartBoth() {
    ASSERT_NO_FATAL_FAILURE(postern().StartCollector());
    ASSERT_NO_FATAL_FAILURE(postern().StartAgent());
    postern().ExpectComplete();
  }

  // Some alone, whose attempts are coalesced, and some with a process for each.
  void StartCallers() {
    callers_ = std::make_unique<Callers>(root() + "/books", Program("caller"));
    const uid_t postfix = UidOf("postfix");
    const uid_t web = UidOf("www-data");
    const std::string other = Program("caller");
    const std::string& v4 = internet().v4();
    for (const Caller& caller :
         {Caller{"mailer", true, postfix, 150, mailer_, true, false, v4, 25},
          Caller{"mailer, a process each", true, postfix, 40, mailer_, true, true, v4, 587},
          Caller{"www-data", false, web, 150, other, false, false, v4, 25},
          Caller{"www-data, a process each", false, web, 60, other, false, true, v4, 587}}) {
      ASSERT_NO_FATAL_FAILURE(callers_->Start(caller));
    }
    callers_->AwaitEach(5);
  }

  // A random point in what goes on.
  void Meanwhile(size_t most) {
    callers_->AwaitAll(std::uniform_int_distribution<size_t>(1, most)(random_));
  }
  bool Chance() { return std::bernoulli_distribution()(random_); }

  // Ends the callers and compares their books with the record.
  void ExpectBooksOnRecord() {
    callers_->Stop();
    callers_->ExpectNoWrongVerdict();
    callers_->ExpectOnRecord(postern());
  }

  void FlipBits(const std::string& path, int count) {
    std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
    const auto size = fs::file_size(path);
    ASSERT_GT(size, 0u);
    for (int i = 0; i < count; ++i) {
      const auto at = static_cast<std::streamoff>(
          std::uniform_int_distribution<uintmax_t>(0, size - 1)(random_));
      file.seekg(at);
      const int byte = file.get();
      file.seekp(at);
      file.put(static_cast<char>(byte ^ (1 << std::uniform_int_distribution<int>(0, 7)(random_))));
    }
  }

  void RemoveStore() {
    for (const char* part : {"", "-wal", "-shm", ".d"}) fs::remove_all(postern().store() + part);
  }
  // The catalog and its partitions; of a collector that is stopped.
  static void CopyStore(const std::string& from, const std::string& to) {
    fs::copy_file(from, to, fs::copy_options::overwrite_existing);
    fs::remove_all(to + ".d");
    fs::copy(from + ".d", to + ".d");
  }

  uint64_t Spooled() {
    return postern().Status().value("spool", json::object()).value("events", uint64_t{0});
  }

  // Attempts, whatever somebody did to the clock.
  uint64_t Recorded() {
    uint64_t sum = 0;
    const Answer answer = postern().Ask({"query", "--since", "-7d", "--group-by", "verdict"});
    for (const json& line : answer.lines) {
      if (line.value("kind", "") == "group") sum += line.value("count", uint64_t{0});
    }
    return sum;
  }

  uint32_t seed_ = 0;
  std::mt19937 random_;
  std::string mailer_;
  std::unique_ptr<Callers> callers_;
};

TEST_F(Faults, AgentAndCollectorKilledAtRandomPoints) {
  ASSERT_NO_FATAL_FAILURE(StartBoth());
  ASSERT_NO_FATAL_FAILURE(StartCallers());
  int agents = 0;
  int starting = 0;
  int collectors = 0;
  for (int round = 0; round < Rounds(); ++round) {
    Meanwhile(200);
    const int which = std::uniform_int_distribution<int>(0, 2)(random_);
    if (which != 1) {
      callers_->Remark("a kill of the agent");
      postern().KillAgent();
      ++agents;
    }
    if (which != 0) {
      callers_->Remark("a kill of the collector");
      postern().KillCollector();
      ++collectors;
    }
    Meanwhile(60);
    if (which != 0) {
      if (Chance()) {
        postern().BeginCollector();
        Meanwhile(10);
        postern().KillCollector();
        ++collectors;
      }
      ASSERT_NO_FATAL_FAILURE(postern().StartCollector());
    }
    if (which != 1) {
      if (Chance()) {
        postern().BeginAgent();
        Meanwhile(60);
        callers_->Remark("a kill while the agent started");
        postern().KillAgent();
        ++starting;
      }
      ASSERT_NO_FATAL_FAILURE(postern().StartAgent());
    }
  }
  std::cout << Rounds() << " rounds: " << agents << " kills of the agent, " << starting
            << " more while it started, " << collectors << " of the collector\n";
  ExpectBooksOnRecord();
}

TEST_F(Faults, CollectorThatHangs) {
  ASSERT_NO_FATAL_FAILURE(StartBoth());
  ASSERT_NO_FATAL_FAILURE(StartCallers());
  for (int round = 0; round < 3; ++round) {
    Meanwhile(200);
    callers_->Remark("a stop of the collector");
    postern().collector().Signal(SIGSTOP);
    // Nobody who connects waits for it, and the kernel loses nothing.
    callers_->AwaitEach(50);
    EXPECT_EQ(postern().Status()["counters"].value("lost", uint64_t{1}), 0u);
    if (Full()) {
      EXPECT_TRUE(
          Eventually([&] { return !postern().Status()["collector"].value("connected", true); },
                     absl::Minutes(2)))
          << postern().Status();
    }
    postern().collector().Signal(SIGCONT);
  }
  ExpectBooksOnRecord();
}

TEST_F(Faults, CollectorWhoseDiskIsFull) {
  const std::string folder = fs::path(postern().store()).parent_path();
  auto holder = Start({"unshare", "-m", "sh", "-c",
                       absl::StrCat("mount -t tmpfs -o size=8m,mode=0700 none ", folder,
                                    " && echo mounted && exec sleep 600")});
  ASSERT_EQ(holder->ReadLine().value_or(""), "mounted") << holder->Error();
  const std::string disk = absl::StrCat("/proc/", holder->pid(), "/root", folder);
  ASSERT_NO_FATAL_FAILURE(postern().StartCollector(
      {"nsenter", absl::StrCat("--mount=/proc/", holder->pid(), "/ns/mnt")}));
  ASSERT_NO_FATAL_FAILURE(postern().StartAgent());
  postern().ExpectComplete();
  ASSERT_NO_FATAL_FAILURE(StartCallers());
  Meanwhile(200);
  {
    std::ofstream filler(disk + "/filler");
    const std::string chunk(4096, 'x');
    while (filler << chunk && filler.flush()) {
    }
  }
  callers_->Remark("a full disk of the collector");
  EXPECT_TRUE(Eventually([&] {
    return absl::StrContains(postern().collector_log(),
                             "events cannot be stored, agents keep them");
  })) << postern().collector_log();
  EXPECT_TRUE(Eventually([&] { return Spooled() > 0; }));
  callers_->AwaitEach(20);
  ASSERT_TRUE(fs::remove(disk + "/filler"));
  ExpectBooksOnRecord();
  EXPECT_EQ(postern().StopAgent(), 0);
  EXPECT_EQ(postern().StopCollector(), 0);
}

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

TEST_F(Faults, ClockThatIsSetForwardAndBack) {
  const std::string file = root() + "/step";
  WriteFile(file, std::string(sizeof(int64_t), '\0'));
  const UniqueFd fd(open(file.c_str(), O_RDWR | O_CLOEXEC));
  void* mapped = mmap(nullptr, sizeof(int64_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  ASSERT_NE(mapped, MAP_FAILED);
  volatile auto* step = static_cast<volatile int64_t*>(mapped);
  ASSERT_NO_FATAL_FAILURE(postern().StartCollector());
  ASSERT_NO_FATAL_FAILURE(postern().StartAgent(
      {"env", absl::StrCat("LD_PRELOAD=", Program("clock.so")), "CLOCK_STEP=" + file}));
  postern().ExpectComplete();
  ASSERT_NO_FATAL_FAILURE(StartCallers());
  Meanwhile(200);
  int64_t steps = 0;
  for (const absl::Duration by : {absl::Hours(2), absl::Hours(-1), absl::Seconds(-90)}) {
    callers_->Remark("a step of the clock");
    *step = absl::ToInt64Nanoseconds(by);
    ++steps;
    const auto told = [&] {
      return postern().Ask({"query", "--since", "-7d", "--kind", "clock_step"}).lines.size() - 1;
    };
    EXPECT_TRUE(Eventually([&] { return told() == static_cast<size_t>(steps); }))
        << told() << " of " << steps << postern().agent_log();
    // It goes on at once, whatever the clock says.
    const size_t made = callers_->Attempts();
    EXPECT_TRUE(Eventually([&] { return Recorded() > made; })) << postern().Status();
  }
  *step = 0;
  callers_->Stop();
  callers_->ExpectOnRecord(postern());
  // In the order of the kernel.
  const Answer evidence =
      postern().Ask({"evidence", "--host", "lab.example.net", "--at", "now", "--window", "4h"});
  uint64_t last = 0;
  size_t events = 0;
  for (const json& line : evidence.lines) {
    const uint64_t seq = line.value("seq", uint64_t{0});
    // Repeats have the time of their first and a later sequence.
    if (seq == 0 || line.contains("repeats")) continue;
    EXPECT_GT(line.value("boot_time_ns", uint64_t{0}), 0u);
    EXPECT_GT(seq, last) << line;
    last = seq;
    ++events;
  }
  EXPECT_GT(events, 20u) << evidence.error;
  munmap(mapped, sizeof(int64_t));
}

}  // namespace
}  // namespace postern::lab
