// SPDX-License-Identifier: Apache-2.0
#include "tests/e2e/trust_fixture.h"

#include <arpa/inet.h>
#include <signal.h>
#include <sys/socket.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "common/atomic_file.h"
#include "tests/support/free_port.h"

namespace postern {
namespace {

sockaddr_in At(const std::string& address, uint16_t port) {
  sockaddr_in at = {};
  at.sin_family = AF_INET;
  at.sin_port = htons(port);
  EXPECT_EQ(inet_pton(AF_INET, address.c_str(), &at.sin_addr), 1);
  return at;
}

std::string Binaries() {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path() / "bin";
}

}  // namespace

TrustFixture::TrustFixture() : port_(support::FreePort()) { signal(SIGPIPE, SIG_IGN); }

TrustFixture::~TrustFixture() {
  streams_.clear();
  if (collector_ == nullptr) return;
  collector_->Signal(SIGTERM);
  EXPECT_EQ(collector_->Wait(), 0) << collector_->Error();
}

void TrustFixture::StartCollector(const std::string& more) {
  const std::string file = folder_ / "collector.yaml";
  std::ofstream(file) << "run_dir: " << folder_.path() << "/run\n"
                      << "store: sqlite:" << folder_.path() << "/events.db\n"
                      << "listen: \"" << address() << "\"\n"
                      << (more.empty() ? absl::StrCat("pki: {dir: ", pki_, "}\n") : more);
  support::Process::Options options;
  options.look_up = false;
  options.notify = true;
  collector_ =
      support::Process::Start({Binaries() + "/postern-collector", "--config", file}, options);
  ASSERT_EQ(collector_->WaitReady(), absl::OkStatus()) << collector_->Error();
}

void TrustFixture::MakeCa() {
  const support::Finished made = Pki({"init", "--name", "127.0.0.1", "--json"});
  ASSERT_EQ(made.exit_code, 0) << made.error;
  pin_ = nlohmann::json::parse(made.output)["ca_pin"];
}

support::Finished TrustFixture::Run(const std::string& binary,
                                    std::vector<std::string> arguments) const {
  arguments.insert(arguments.begin(), Binaries() + "/" + binary);
  support::Process::Options options;
  options.look_up = false;
  return support::RunToEnd(std::move(arguments), options);
}

support::Finished TrustFixture::Pki(std::vector<std::string> arguments) const {
  arguments.insert(arguments.begin(), "pki");
  arguments.push_back("--dir");
  arguments.push_back(pki_);
  return Postern(std::move(arguments));
}

support::Finished TrustFixture::Ask(const tls::Files& files,
                                    std::vector<std::string> arguments) const {
  for (const std::string& word :
       {std::string("--collector"), address(), std::string("--ca"), files.ca, std::string("--cert"),
        files.cert, std::string("--key"), files.key, std::string("--json")}) {
    arguments.push_back(word);
  }
  return Postern(std::move(arguments));
}

std::vector<std::string> TrustFixture::KnownHosts() const {
  const support::Finished hosts =
      Postern({"hosts", "--json", "--collector", "unix:" + folder_.path() + "/run/query.sock"});
  EXPECT_EQ(hosts.exit_code, 0) << hosts.error;
  std::vector<std::string> names;
  for (const absl::string_view line : absl::StrSplit(hosts.output, '\n', absl::SkipEmpty())) {
    names.push_back(nlohmann::json::parse(line)["host"]);
  }
  return names;
}

tls::Files TrustFixture::Agent(const std::string& host, absl::Duration when,
                               absl::Duration valid) const {
  pki::Authority authority = pki::Authority::Open(pki_).value();
  const tls::KeyPtr key = tls::MakeKey().value();
  const std::string request = tls::ToPem(*tls::MakeRequest(*key).value());
  tls::Files files;
  files.ca = pki_ + "/ca.pem";
  files.cert = absl::StrCat(folder_.path(), "/", host, absl::ToInt64Seconds(when), ".pem");
  files.key = files.cert;
  const std::string certificate =
      authority.IssueAgent(host, request, absl::Now() + when, valid).value();
  EXPECT_TRUE(WriteFileAtomically(files.cert, certificate + tls::ToPem(*key)).ok());
  return files;
}

tls::Files TrustFixture::Operator(const std::string& name,
                                  const std::vector<std::string>& hosts) const {
  const std::string out = folder_ / name;
  std::vector<std::string> arguments = {"operator", name, "--out", out};
  for (const std::string& host : hosts) {
    arguments.push_back("--host");
    arguments.push_back(host);
  }
  const support::Finished made = Pki(std::move(arguments));
  EXPECT_EQ(made.exit_code, 0) << made.error;
  return {.ca = out + "/ca.pem", .cert = out + "/cert.pem", .key = out + "/key.pem", .crl = ""};
}

uplink::Line TrustFixture::Dial(const tls::Files& files) const {
  return uplink::Dial(address(), files).value();
}

std::string TrustFixture::Refusal(const tls::Files& files) const {
  return std::string(Dial(files).tunnel->WaitUntilAnswered().message());
}

server::AgentStream& TrustFixture::Stream(const tls::Files& files) {
  auto opened = std::make_unique<Opened>();
  opened->line = Dial(files);
  EXPECT_EQ(opened->line.tunnel->WaitUntilAnswered(), absl::OkStatus());
  opened->stream = std::make_unique<server::AgentStream>(opened->line.channel);
  streams_.push_back(std::move(opened));
  return *streams_.back()->stream;
}

bool TrustFixture::CanWrite(const tls::Files& files, const std::string& host) {
  const uint64_t epoch = next_epoch_++;
  const uplink::Line line = Dial(files);
  if (!line.tunnel->WaitUntilAnswered().ok()) return false;
  server::AgentStream stream(line.channel);
  return stream.Greet(host, epoch).has_value() &&
         stream.SendBatch(epoch, 1, {"smtp"}) == uint64_t{1};
}

UniqueFd TrustFixture::Connect(const std::string& from) const {
  UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_in source = At(from, 0);
  const sockaddr_in to = At("127.0.0.1", static_cast<uint16_t>(std::stoi(port_)));
  EXPECT_EQ(bind(fd.get(), reinterpret_cast<const sockaddr*>(&source), sizeof(source)), 0);
  EXPECT_EQ(connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof(to)), 0);
  return fd;
}

bool TrustFixture::Says(const std::string& text) const {
  return support::Eventually([&] { return absl::StrContains(collector_->Error(), text); });
}

}  // namespace postern
