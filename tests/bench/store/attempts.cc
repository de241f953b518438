// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/store/attempts.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace postern::bench {
namespace {

constexpr int kPopularPeers = 300;
constexpr int kSites = 20;

void AddAncestor(v1::Event& event, uint32_t pid, const char* comm, const char* exe) {
  v1::Ancestor* ancestor = event.add_ancestors();
  ancestor->set_pid(pid);
  ancestor->set_comm(comm);
  ancestor->set_exe(exe);
}

v1::Event AnyOf(int host) {
  v1::Event event;
  event.set_kind(v1::Event::CONNECT);
  event.set_agent(absl::StrFormat("8f14e45f-ceea-467f-a0e6-%012d", host));
  event.set_boot(absl::StrFormat("c9f0f895-fb98-4b91-9a3d-%012d", host));
  event.set_generation(3);
  event.set_identity(v1::Event::EXEC);
  event.set_user_namespace(4026531837u);
  event.set_network_namespace(4026531840u);
  event.set_family("ipv4");
  event.set_protocol("tcp");
  event.set_port(25);
  AddAncestor(event, 1, "systemd", "/usr/lib/systemd/systemd");
  return event;
}

void SetFile(v1::Event& event, uint64_t inode) {
  v1::File* file = event.mutable_exe_file();
  file->set_device("254:0");
  file->set_inode(inode);
  file->set_change_time_ns(static_cast<uint64_t>(kFirstTime) + inode);
  file->set_mode(0100755);
}

v1::Event SmtpOf(int host) {
  v1::Event event = AnyOf(host);
  event.set_verdict(v1::Event::ALLOWED);
  event.set_rule("postfix");
  event.set_uid(110);
  event.set_gid(115);
  event.set_euid(110);
  event.set_egid(115);
  event.set_started_as(0);
  event.set_user("postfix");
  event.set_comm("smtp");
  event.set_exe("/usr/lib/postfix/sbin/smtp");
  event.set_exe_trusted(true);
  for (const char* argument : {"smtp", "-t", "unix", "-u", "-c"}) event.add_args(argument);
  AddAncestor(event, 900, "master", "/usr/lib/postfix/sbin/master");
  SetFile(event, 1'000 + static_cast<uint64_t>(host));
  event.set_unit("system.slice/postfix@-.service");
  event.set_cgroup("/system.slice/system-postfix.slice/postfix@-.service");
  event.set_cgroup_id(4'711);
  return event;
}

v1::Event PhpOf(int host) {
  v1::Event event = AnyOf(host);
  event.set_verdict(v1::Event::WOULD_DENY);
  event.set_rule("default");
  event.set_uid(33);
  event.set_gid(33);
  event.set_euid(33);
  event.set_egid(33);
  event.set_started_as(0);
  event.set_user("www-data");
  event.set_comm("php-fpm8.2");
  event.set_exe("/usr/sbin/php-fpm8.2");
  event.set_exe_trusted(true);
  event.add_args("php-fpm: pool www");
  AddAncestor(event, 700, "php-fpm8.2", "/usr/sbin/php-fpm8.2");
  SetFile(event, 2'000 + static_cast<uint64_t>(host));
  event.set_unit("system.slice/php8.2-fpm.service");
  event.set_cgroup("/system.slice/php8.2-fpm.service");
  event.set_cgroup_id(4'712);
  return event;
}

v1::Event BotOf(int host) {
  v1::Event event = PhpOf(host);
  event.set_verdict(v1::Event::DENIED);
  event.set_comm("perl");
  event.set_exe("/usr/bin/perl");
  event.clear_args();
  SetFile(event, 3'000 + static_cast<uint64_t>(host));
  return event;
}

}  // namespace

std::string HostName(int host) { return absl::StrFormat("web%04d.example.net", host); }

Attempts::Attempts(int64_t events) : period_(std::max(kDayNs, kDayNs / kEventsOfADay * events)) {
  // Between two events of one host.
  step_ = period_ / (std::max<int64_t>(events, kHosts) / kHosts);
  for (int i = 0; i < kPopularPeers; ++i) popular_.push_back(absl::StrCat("192.0.2.", i % 256));
  for (int i = 0; i < kHosts; ++i) {
    Host host;
    host.name = HostName(i);
    host.time = kFirstTime + step_ * i / kHosts;
    host.smtp = SmtpOf(i);
    host.php = PhpOf(i);
    host.bot = BotOf(i);
    hosts_.push_back(std::move(host));
  }
}

std::string Attempts::Destination() {
  const uint64_t number = random_();
  if (number % 10 < 7) return popular_[(number >> 8) % popular_.size()];
  return absl::StrCat(11 + (number >> 8) % 180, ".", (number >> 16) % 256, ".",
                      (number >> 24) % 256, ".", (number >> 32) % 256);
}

v1::Event Attempts::NextOf(Host& host, int index) {
  const int kind = static_cast<int>((host.sequence + static_cast<uint64_t>(index)) % 100);
  v1::Event event = kind < 80 ? host.smtp : kind < 95 ? host.php : host.bot;
  const uint64_t number = random_();
  const uint32_t pid = kind < 80 ? host.pid + static_cast<uint32_t>(number % 4) : ++host.pid;
  event.set_pid(pid);
  event.set_tid(pid);
  event.set_ppid(event.ancestors(event.ancestors_size() - 1).pid());
  event.set_time_ns(static_cast<uint64_t>(host.time));
  event.set_exec_time_ns(static_cast<uint64_t>(host.time - 40'000'000'000));
  event.set_seq(++host.sequence);
  event.set_socket(host.sequence * 17);
  event.set_destination(Destination());
  if (kind >= 80) {
    event.set_script(absl::StrFormat("/var/www/site%02d/wp-content/mail.php", number % kSites));
  }
  if (kind >= 95) {
    event.add_args("perl");
    event.add_args(absl::StrCat("/tmp/.x", number % 1'000'000));
  }
  if (kind == 99) {
    event.set_repeats(number % 500);
    event.set_last_time_ns(static_cast<uint64_t>(host.time) + number % 300'000'000'000);
  }
  host.time += step_;
  return event;
}

server::EventBatch Attempts::Next() {
  Host& host = hosts_[next_host_];
  server::EventBatch batch;
  batch.host = host.name;
  batch.epoch = 1 + next_host_;
  batch.first_position = host.sequence + 1;
  for (int i = 0; i < kBatchEvents; ++i) *batch.events.Add() = NextOf(host, i);
  next_host_ = (next_host_ + 1) % hosts_.size();
  reported_until_ = hosts_[next_host_].time;
  return batch;
}

}  // namespace postern::bench
