// SPDX-License-Identifier: Apache-2.0
#include "tests/support/lab/postfix.h"

#include <gtest/gtest.h>
#include <pwd.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace postern::lab {

using support::Eventually;
using support::kPatience;
namespace {

constexpr char kMain[] = R"(compatibility_level = 3.6
queue_directory = $ROOT/queue
data_directory = $ROOT/data
daemon_directory = $DAEMONS
shlib_directory = /usr/lib/postfix
meta_directory = /etc/postfix
maillog_file = $LOG
maillog_file_prefixes = $ROOT
myhostname = lab.example.net
myorigin = lab.example.net
mydestination =
mynetworks = 127.0.0.0/8, $OWN/32
alias_maps =
alias_database =
local_recipient_maps =
inet_interfaces = all
inet_protocols = all
relayhost = [$HOP]
smtp_host_lookup = native
smtp_tls_security_level = none
smtpd_tls_security_level = none
address_verify_poll_delay = 1s
address_verify_poll_count = 10
smtpd_peername_lookup = no
)";

// Debian's, without the transports that nothing here uses.
constexpr char kMaster[] = R"($LOOPBACK:587 inet n - y - - smtpd
$OWN:587 inet n - y - - smtpd
$LOOPBACK:2525 inet n - y - - smtpd
  -o smtpd_recipient_restrictions=reject_unverified_recipient,permit_mynetworks,reject
pickup    unix  n       -       y       60      1       pickup
cleanup   unix  n       -       y       -       0       cleanup
qmgr      unix  n       -       n       300     1       qmgr
tlsmgr    unix  -       -       y       1000?   1       tlsmgr
rewrite   unix  -       -       y       -       -       trivial-rewrite
bounce    unix  -       -       y       -       0       bounce
defer     unix  -       -       y       -       0       bounce
trace     unix  -       -       y       -       0       bounce
verify    unix  -       -       y       -       1       verify
flush     unix  n       -       y       1000?   0       flush
proxymap  unix  -       -       n       -       -       proxymap
proxywrite unix -       -       n       -       1       proxymap
smtp      unix  -       -       y       -       -       smtp
relay     unix  -       -       y       -       -       smtp
showq     unix  n       -       y       -       -       showq
error     unix  -       -       y       -       -       error
retry     unix  -       -       y       -       -       error
discard   unix  -       -       y       -       -       discard
anvil     unix  -       -       y       -       1       anvil
scache    unix  -       -       y       -       1       scache
postlog   unix-dgram n  -       n       -       1       postlogd
)";

// 0 when there is none.
pid_t MasterOf(const std::string& root) {
  int pid = 0;
  const std::string text = ReadFile(root + "/queue/pid/master.pid");
  return absl::SimpleAtoi(absl::StripAsciiWhitespace(text), &pid) ? pid : 0;
}

}  // namespace

void Postfix::StopLeftover(const std::string& root) {
  const pid_t master = MasterOf(root);
  const std::string process = absl::StrCat("/proc/", master);
  std::error_code error;
  // Its working folder tells it from a stranger that has the number now.
  if (master == 0 || std::filesystem::read_symlink(process + "/cwd", error) != root + "/queue") {
    return;
  }
  kill(master, SIGTERM);
  EXPECT_TRUE(Eventually([&] { return !std::filesystem::exists(process); }));
}

Postfix::Postfix(const std::string& root, const Internet& internet, const std::string& daemons,
                 const std::string& services)
    : root_(root), daemons_(daemons), log_(root + "/mail.log") {
  // An address of the loopback network that no other server listens on.
  loopback_ = absl::StrReplaceAll(internet.own_v4(), {{"10.77.", "127.77."}});
  for (const char* folder : {"", "/config", "/queue", "/data"}) {
    std::filesystem::create_directories(root_ + folder);
  }
  const passwd* owner = getpwnam("postfix");
  EXPECT_TRUE(owner != nullptr &&
              chown((root_ + "/data").c_str(), owner->pw_uid, owner->pw_gid) == 0);
  const std::vector<std::pair<std::string, std::string>> values = {
      {"$ROOT", root_},         {"$DAEMONS", daemons_},  {"$LOG", log_},
      {"$LOOPBACK", loopback_}, {"$HOP", internet.v4()}, {"$OWN", internet.own_v4()}};
  WriteFile(root_ + "/config/main.cf", absl::StrReplaceAll(kMain, values));
  WriteFile(root_ + "/config/master.cf",
            absl::StrCat(absl::StrReplaceAll(kMaster, values), services));
  script_ = Process::Start({"postfix", "-c", root_ + "/config", "start-fg"});
  EXPECT_TRUE(Eventually([&] {
    return absl::StrContains(Log(), "daemon started") || !script_->Running();
  })) << script_->Error();
  master_ = MasterOf(root_);
  EXPECT_NE(master_, 0) << script_->Error() << Log();
}

Postfix::~Postfix() {
  Command("stop");
  EXPECT_TRUE(script_->Wait().has_value()) << "Postfix does not stop";
}

void Postfix::Send(const std::string& token) {
  auto sendmail = Process::Start({"sendmail", "-C", root_ + "/config", "-f",
                                  "owner@lab.example.net", "someone@internet.example.net"},
                                 {.input = true});
  EXPECT_TRUE(sendmail->SendInput(absl::StrCat("Subject: ", token, "\n\nA real mail.\n")));
  sendmail->CloseInput();
  EXPECT_EQ(sendmail->Wait().value_or(-1), 0) << sendmail->Error();
}

void Postfix::Command(const std::string& command) {
  const support::Finished postfix =
      support::RunToEnd({"postfix", "-c", root_ + "/config", command});
  EXPECT_EQ(postfix.exit_code, 0) << "postfix " << command << ": " << postfix.error;
}

std::string Postfix::ProbeRecipient(const std::string& recipient) {
  constexpr char kSession[] = R"(
    my $smtp = Net::SMTP->new($ARGV[0], Port => 2525, Timeout => 20) or die "no answer\n";
    $smtp->mail('owner@lab.example.net');
    $smtp->to($ARGV[1]);
    print $smtp->code, " ", $smtp->message;
    $smtp->quit;)";
  auto perl = Process::Start({"perl", "-MNet::SMTP", "-e", kSession, loopback_, recipient});
  EXPECT_EQ(perl->Wait(2 * kPatience).value_or(-1), 0) << perl->Error();
  return perl->Output();
}

std::vector<pid_t> Postfix::Senders() const {
  std::vector<pid_t> senders;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    int pid = 0;
    std::error_code error;
    if (!absl::SimpleAtoi(entry.path().filename().string(), &pid)) continue;
    if (std::filesystem::read_symlink(entry.path() / "exe", error) != smtp()) continue;
    if (absl::StrContains(ReadFile(entry.path() / "status"),
                          absl::StrCat("PPid:\t", master_, "\n"))) {
      senders.push_back(pid);
    }
  }
  return senders;
}

}  // namespace postern::lab
