// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/agent/fakes/fake_sensor.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <time.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

namespace postern {
namespace {

using sensor::Ring;

uint64_t BootNs() {
  timespec now = {};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

Ring RingOf(postern_verdict verdict) {
  return verdict == POSTERN_VERDICT_DENIED || verdict == POSTERN_VERDICT_WOULD_DENY ? Ring::kDenied
                                                                                    : Ring::kOther;
}

template <typename T>
std::vector<std::byte> BytesOf(const T& value) {
  std::vector<std::byte> bytes(sizeof(value));
  memcpy(bytes.data(), &value, sizeof(value));
  return bytes;
}

// As the kernel walks it: from the file to the root.
std::string Walk(const std::string& path) {
  std::string walk;
  size_t end = path.size();
  while (end > 0) {
    const size_t slash = path.rfind('/', end - 1);
    if (slash == std::string::npos) break;
    walk += path.substr(slash + 1, end - slash - 1) + "/";
    end = slash;
  }
  return walk;
}

void SetDestination(uint8_t (&address)[16]) {
  constexpr uint8_t kAddress[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1};
  memcpy(address, kAddress, sizeof(address));
}

}  // namespace

uint64_t FakeKernel::Connect(uint32_t uid, postern_verdict verdict, const std::string& exe,
                             uint16_t rule) {
  const std::lock_guard<std::mutex> lock(mutex_);
  return WriteConnect(uid, verdict, exe, rule);
}

uint64_t FakeKernel::WriteConnect(uint32_t uid, postern_verdict verdict, const std::string& exe,
                                  uint16_t rule) {
  postern_connect connect = {};
  const std::string walk = Walk(exe);
  connect.record = {.kind = POSTERN_RECORD_CONNECT,
                    .version = POSTERN_ABI_VERSION,
                    .bytes = static_cast<__u32>(sizeof(connect) + walk.size()),
                    .time = BootNs(),
                    .sequence = ++sequence_};
  connect.tgid = 42;
  connect.uid = connect.euid = uid;
  connect.loginuid = 0xffffffff;
  connect.port = 25;
  connect.family = AF_INET;
  connect.protocol = IPPROTO_TCP;
  connect.verdict = static_cast<__u8>(verdict);
  connect.source = POSTERN_IDENTITY_EXEC;
  connect.rule = rule;
  connect.generation = static_cast<__u32>(published_.size());
  SetDestination(connect.destination);
  memcpy(connect.comm, "perl", 5);
  connect.description.exe_bytes = static_cast<__u16>(walk.size());
  std::vector<std::byte> bytes = BytesOf(connect);
  const auto* text = reinterpret_cast<const std::byte*>(walk.data());
  bytes.insert(bytes.end(), text, text + walk.size());
  ++counters_[POSTERN_COUNTER_VERDICT + static_cast<size_t>(verdict)];
  ++hits_[std::min<size_t>(rule, POSTERN_RULES)];
  Push(RingOf(verdict), std::move(bytes));
  return sequence_;
}

void FakeKernel::Repeat(uint64_t first, uint64_t count, postern_verdict verdict, uint32_t flags) {
  const std::lock_guard<std::mutex> lock(mutex_);
  postern_repeats repeats = {};
  repeats.record = {.kind = POSTERN_RECORD_REPEATS,
                    .version = POSTERN_ABI_VERSION,
                    .bytes = sizeof(repeats),
                    .time = BootNs(),
                    .sequence = ++sequence_};
  repeats.last_time = BootNs();
  repeats.count = count;
  repeats.first = first;
  repeats.uid = 33;
  repeats.flags = flags;
  repeats.port = 25;
  repeats.verdict = static_cast<__u8>(verdict);
  repeats.rule = POSTERN_RULE_DEFAULT;
  if ((flags & POSTERN_REPEATS_SPREAD) == 0) {
    repeats.tgid = 42;
    repeats.family = AF_INET;
    SetDestination(repeats.destination);
  }
  counters_[POSTERN_COUNTER_COALESCED] += count;
  counters_[POSTERN_COUNTER_VERDICT + static_cast<size_t>(verdict)] += count;
  repeats_.push_back(BytesOf(repeats));
}

void FakeKernel::Write(Ring ring, std::vector<std::byte> bytes) {
  const std::lock_guard<std::mutex> lock(mutex_);
  Push(ring, std::move(bytes));
}

void FakeKernel::Push(Ring ring, std::vector<std::byte> bytes) {
  uint64_t& produced = produced_[ring];
  produced += (bytes.size() + 8 + 7) / 8 * 8;
  rings_[ring].push_back({produced, std::move(bytes)});
  if (ring == Ring::kDenied || reader_sleeps_) Wake();
  reader_sleeps_ = false;
}

void FakeKernel::Wake() {
  wake_ = true;
  woken_.notify_all();
}

void FakeKernel::Lose(postern_counter counter, uint64_t count) {
  const std::lock_guard<std::mutex> lock(mutex_);
  counters_[counter] += count;
}

int FakeKernel::ConnectAsCanary(uint32_t pid, const std::string& address, uint16_t port) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (!attached_ || pid != canary_) return EINPROGRESS;
  postern_connect connect = {};
  connect.record = {.kind = POSTERN_RECORD_CONNECT,
                    .version = POSTERN_ABI_VERSION,
                    .bytes = sizeof(connect),
                    .time = BootNs(),
                    .sequence = ++sequence_};
  connect.tgid = pid;
  connect.uid = connect.euid = 65534;
  connect.loginuid = 0xffffffff;
  connect.port = port;
  connect.family = AF_INET;
  connect.protocol = IPPROTO_TCP;
  connect.verdict = POSTERN_VERDICT_DENIED;
  connect.source = POSTERN_IDENTITY_EXEC;
  connect.rule = POSTERN_RULE_DEFAULT;
  connect.generation = static_cast<__u32>(published_.size());
  connect.flags = POSTERN_CONNECT_CANARY;
  connect.destination[10] = connect.destination[11] = 0xff;
  inet_pton(AF_INET, address.c_str(), &connect.destination[12]);
  ++counters_[POSTERN_COUNTER_CANARIES];
  if (!loses_canaries_) Push(Ring::kDenied, BytesOf(connect));
  return lets_pass_ ? EINPROGRESS : static_cast<int>(published_.back().header.deny_errno);
}

size_t FakeKernel::canaries() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return canaries_;
}

void FakeKernel::LetPass(bool pass) {
  const std::lock_guard<std::mutex> lock(mutex_);
  lets_pass_ = pass;
}

void FakeKernel::LoseCanaries(bool lose) {
  const std::lock_guard<std::mutex> lock(mutex_);
  loses_canaries_ = lose;
}

void FakeKernel::Detach() {
  const std::lock_guard<std::mutex> lock(mutex_);
  attached_ = false;
}

void FakeKernel::Attach() {
  const std::lock_guard<std::mutex> lock(mutex_);
  attached_ = true;
}

void FakeKernel::SetOthers(std::vector<sensor::OtherProgram> others) {
  const std::lock_guard<std::mutex> lock(mutex_);
  others_ = std::move(others);
}

size_t FakeKernel::Unreleased(Ring ring) {
  const std::lock_guard<std::mutex> lock(mutex_);
  return rings_[ring].size();
}

size_t FakeKernel::generations() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return published_.size();
}

policy::CompiledPolicy FakeKernel::policy() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return published_.empty() ? policy::CompiledPolicy() : published_.back();
}

bool FakeKernel::attached() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return attached_;
}

std::vector<std::array<uint8_t, 16>> FakeKernel::local_addresses() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return local_;
}

FakeSensor::FakeSensor(FakeKernel* kernel) : kernel_(*kernel) {
  const std::lock_guard<std::mutex> lock(kernel_.mutex_);
  position_ = kernel_.released_;
}

absl::StatusOr<policy::BinaryId> FakeSensor::IdentifyBinary(const std::string& path) {
  const auto found = kernel_.binaries.find(path);
  if (found == kernel_.binaries.end()) return absl::NotFoundError(path + " does not exist");
  return found->second;
}

absl::StatusOr<uint32_t> FakeSensor::Publish(const policy::CompiledPolicy& policy) {
  const std::lock_guard<std::mutex> lock(kernel_.mutex_);
  if (!kernel_.publish_error.ok()) return kernel_.publish_error;
  kernel_.published_.push_back(policy);
  kernel_.hits_ = {};
  return static_cast<uint32_t>(kernel_.published_.size());
}

absl::StatusOr<sensor::HeldPolicy> FakeSensor::ReadPolicy(
    const policy::CompiledPolicy& /*compiled*/) const {
  const std::lock_guard<std::mutex> lock(kernel_.mutex_);
  if (kernel_.published_.empty()) return absl::FailedPreconditionError("no policy");
  sensor::HeldPolicy held;
  held.header = kernel_.published_.back().header;
  held.header.generation = static_cast<uint32_t>(kernel_.published_.size());
  held.ports = kernel_.published_.back().ports;
  held.hits = kernel_.hits_;
  held.differences = kernel_.differences;
  return held;
}

uint32_t FakeSensor::generation() const {
  const std::lock_guard<std::mutex> lock(kernel_.mutex_);
  return static_cast<uint32_t>(kernel_.published_.size());
}

absl::Status FakeSensor::SetLocalAddresses(absl::Span<const std::array<uint8_t, 16>> addresses) {
  const std::lock_guard<std::mutex> lock(kernel_.mutex_);
  kernel_.local_.assign(addresses.begin(), addresses.end());
  return absl::OkStatus();
}

absl::Status FakeSensor::AttachConnect() {
  const std::lock_guard<std::mutex> lock(kernel_.mutex_);
  if (kernel_.published_.empty()) return absl::FailedPreconditionError("no policy");
  kernel_.attached_ = true;
  return absl::OkStatus();
}

absl::Status FakeSensor::RegisterCanary(uint32_t pid) {
  const std::lock_guard<std::mutex> lock(kernel_.mutex_);
  if (!kernel_.register_error.ok()) return kernel_.register_error;
  kernel_.canary_ = pid;
  ++kernel_.canaries_;
  return absl::OkStatus();
}

absl::Status FakeSensor::ForgetCanary() {
  const std::lock_guard<std::mutex> lock(kernel_.mutex_);
  kernel_.canary_ = 0;
  return absl::OkStatus();
}

void FakeSensor::Wait(absl::Duration timeout) {
  std::unique_lock<std::mutex> lock(kernel_.mutex_);
  kernel_.woken_.wait_for(lock, absl::ToChronoNanoseconds(timeout),
                          [this] { return kernel_.wake_; });
  kernel_.wake_ = false;
}

void FakeSensor::Wake() {
  const std::lock_guard<std::mutex> lock(kernel_.mutex_);
  kernel_.Wake();
}

bool FakeSensor::WakeOnNextRecord() {
  const std::lock_guard<std::mutex> lock(kernel_.mutex_);
  kernel_.reader_sleeps_ = true;
  return std::all_of(kernel_.produced_.begin(), kernel_.produced_.end(),
                     [this](const auto& ring) { return ring.second <= ReadPosition(ring.first); });
}

size_t FakeSensor::Read(Ring ring, size_t max_records,
                        const std::function<void(absl::Span<const std::byte>)>& sink) {
  const std::lock_guard<std::mutex> lock(kernel_.mutex_);
  size_t handed_out = 0;
  for (const FakeKernel::Record& record : kernel_.rings_[ring]) {
    if (record.end <= position_[ring]) continue;
    if (handed_out == max_records) break;
    position_[ring] = record.end;
    ++handed_out;
    sink(record.bytes);
  }
  return handed_out;
}

uint64_t FakeSensor::ReadPosition(Ring ring) const {
  const auto found = position_.find(ring);
  return found == position_.end() ? 0 : found->second;
}

std::string FakeSensor::RingId(Ring ring) const { return ring == Ring::kDenied ? "7" : "8"; }

void FakeSensor::SkipTo(Ring ring, uint64_t position) {
  position_[ring] = std::max(position_[ring], position);
}

void FakeSensor::Release(Ring ring) {
  const std::lock_guard<std::mutex> lock(kernel_.mutex_);
  auto& records = kernel_.rings_[ring];
  while (!records.empty() && records.front().end <= position_[ring]) records.pop_front();
  kernel_.released_[ring] = position_[ring];
}

absl::Status FakeSensor::FlushRepeats() {
  const std::lock_guard<std::mutex> lock(kernel_.mutex_);
  for (std::vector<std::byte>& bytes : kernel_.repeats_) {
    kernel_.Push(Ring::kDenied, std::move(bytes));
  }
  kernel_.repeats_.clear();
  return absl::OkStatus();
}

absl::StatusOr<std::array<uint64_t, POSTERN_COUNTERS>> FakeSensor::ReadCounters() const {
  const std::lock_guard<std::mutex> lock(kernel_.mutex_);
  return kernel_.counters_;
}

absl::Status FakeSensor::SetCounter(postern_counter counter, uint64_t value) {
  const std::lock_guard<std::mutex> lock(kernel_.mutex_);
  kernel_.counters_[counter] = value;
  return absl::OkStatus();
}

std::vector<sensor::HookState> FakeSensor::Hooks() const {
  const std::lock_guard<std::mutex> lock(kernel_.mutex_);
  return {{"connect4", kernel_.attached_, kernel_.attached_ ? "" : "somebody took it off",
           kernel_.others_},
          {"exec", true, ""}};
}

absl::StatusOr<std::vector<sensor::Sensor::UnprovenProcess>> FakeSensor::UnprovenProcesses() {
  return kernel_.unproven;
}

}  // namespace postern
