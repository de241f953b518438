// SPDX-License-Identifier: Apache-2.0
#include "cli/proposal.h"

#include <pwd.h>

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "common/event_json.h"

namespace postern::cli {
namespace {

constexpr size_t kRuleNameBytes = 64;
// A submission service has few addresses; more would be a list nobody keeps up.
constexpr size_t kDestinationsInARule = 8;
constexpr uint32_t kSmtp = 25;

// They run whatever they are given: a script, a module, a command line. By the
// beginning of their names, which versions follow.
constexpr absl::string_view kInterpreters[] = {
    "perl",    "python", "pypy",   "php",   "lsphp",    "ruby",          "node",
    "deno",    "bun",    "lua",    "tclsh", "wish",     "expect",        "guile",
    "java",    "mono",   "dotnet", "pwsh",  "beam",     "erl",           "Rscript",
    "busybox", "gawk",   "mawk",   "awk",   "ld-linux", "ld.so",         "qemu-",
    "apache2", "httpd",  "uwsgi",  "unitd", "lshttpd",  "openlitespeed", "emacs"};
// By their whole names.
constexpr absl::string_view kShells[] = {"sh",  "bash", "dash", "zsh",   "ksh", "mksh",
                                         "csh", "tcsh", "fish", "rbash", "R"};
// Whoever starts them says what they send.
constexpr absl::string_view kTools[] = {
    "nc",         "ncat", "nc.openbsd", "nc.traditional",   "netcat",
    "socat",      "curl", "wget",       "telnet",           "openssl",
    "gnutls-cli", "gdb",  "strace",     "inetutils-telnet", "ssh"};

absl::string_view NameOf(absl::string_view path) {
  return path.substr(path.rfind('/') + 1);  // npos + 1 is 0
}

template <size_t n>
bool Contains(const absl::string_view (&names)[n], absl::string_view name) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

bool IsInterpreter(const v1::Event& facts) {
  const absl::string_view name = NameOf(facts.exe());
  return !facts.script().empty() || Contains(kShells, name) ||
         std::any_of(std::begin(kInterpreters), std::end(kInterpreters),
                     [&](absl::string_view prefix) { return absl::StartsWith(name, prefix); });
}

// Needs no escapes in YAML within double quotes, and cannot be the work of
// somebody who wants to be misread.
bool IsPlain(absl::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
           absl::StrContains("/._+-@:,=~ ", c);
  });
}

std::string Quoted(absl::string_view text) {
  const bool bare = std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || absl::StrContains("/._-", c);
  });
  return bare && !text.empty() && text[0] != '-' ? std::string(text)
                                                 : absl::StrCat("\"", text, "\"");
}

// One as itself, several as a list.
std::string ListOf(const std::vector<std::string>& values) {
  return values.size() == 1 ? values[0] : absl::StrCat("[", absl::StrJoin(values, ", "), "]");
}

// By name where this host knows it as the same; a number holds in any case.
std::string UserOf(const std::string& name, uint32_t uid) {
  const passwd* entry = name.empty() || !IsPlain(name) ? nullptr : getpwnam(name.c_str());
  return entry != nullptr && entry->pw_uid == uid ? Quoted(name) : absl::StrCat(uid);
}

bool IsToThisHost(const v1::Event& facts) {
  return facts.destination_local() || absl::StartsWith(facts.destination(), "127.") ||
         facts.destination() == "::1";
}

// What one rule would name; the rest is what it did.
v1::Event IdentityOf(const v1::Event& facts) {
  v1::Event identity = facts;
  identity.clear_verdict();
  identity.clear_rule();
  identity.clear_comm();
  identity.clear_gid();
  identity.clear_egid();
  identity.clear_cgroup();
  identity.clear_family();
  identity.clear_destination();
  identity.clear_destination_local();
  identity.clear_destinations_not_kept();
  identity.clear_port();
  identity.clear_script();
  // Scripts make an interpreter, whichever they are.
  if (!facts.script().empty()) identity.set_script("*");
  return identity;
}

std::string UniqueName(absl::string_view wish, std::set<std::string>& taken) {
  std::string name;
  for (const char c : wish) {
    const bool fine =
        absl::ascii_isalnum(static_cast<unsigned char>(c)) || absl::StrContains("._-", c);
    name += fine ? c : '-';
  }
  name = name.substr(0, kRuleNameBytes - 4);
  std::string unique = name;
  for (int number = 2; unique == "default" || !taken.insert(unique).second; ++number) {
    unique = absl::StrCat(name, "-", number);
  }
  return unique;
}

}  // namespace

std::vector<Applicant> ApplicantsOf(const RecordedSenders& senders) {
  std::vector<Applicant> applicants;
  std::map<std::string, size_t> by_identity;
  for (const RecordedSender& sender : senders.senders()) {
    const bool to_this_host = IsToThisHost(sender.facts);
    const v1::Event identity = to_this_host ? v1::Event() : IdentityOf(sender.facts);
    const auto [found, is_new] = by_identity.try_emplace(
        to_this_host ? "" : identity.SerializeAsString(), applicants.size());
    if (is_new) {
      applicants.emplace_back();
      applicants.back().facts = identity;
      applicants.back().to_this_host = to_this_host;
      applicants.back().first_ns = sender.first_ns;
    }
    Applicant& applicant = applicants[found->second];
    applicant.attempts += sender.attempts;
    applicant.first_ns = std::min(applicant.first_ns, sender.first_ns);
    applicant.last_ns = std::max(applicant.last_ns, sender.last_ns);
    applicant.ports.insert(sender.facts.port());
    const std::string& destination = sender.facts.destination();
    if (destination.empty()) {
      applicant.more_destinations = true;
    } else if (applicant.destinations.count(destination) == 0) {
      if (applicant.destinations.size() < Applicant::kDestinationsKept) {
        applicant.destinations.insert(destination);
      } else {
        applicant.more_destinations = true;
      }
    }
    if (!sender.facts.script().empty() && applicant.scripts.size() < 4) {
      applicant.scripts.insert(sender.facts.script());
    }
    applicant.so_far[absl::StrCat(VerdictName(sender.facts.verdict()), " by rule ",
                                  sender.facts.rule())] += sender.attempts;
  }
  std::stable_sort(applicants.begin(), applicants.end(),
                   [](const Applicant& a, const Applicant& b) { return a.attempts > b.attempts; });
  return applicants;
}

std::string WhyNotProven(const Applicant& applicant) {
  if (applicant.to_this_host) return "";
  const v1::Event& facts = applicant.facts;
  if (facts.in_container()) {
    return "it runs in a container, where users and files mean something else than here: write a "
           "rule with `container: true`, by its number and where it goes";
  }
  if (facts.in_user_namespace()) {
    return "it runs in a user namespace of its own, where anybody is root";
  }
  if (!facts.has_uid() || !facts.has_euid()) return "its user is not on record";
  if (facts.identity() != v1::Event::EXEC) {
    return "its start was not seen: restart it once, then ask again";
  }
  if (facts.exe_unlinked()) return "its binary had no name left when it was started";
  if (facts.exe_cut()) return "the path of its binary is too long to be told apart";
  if (facts.exe().empty()) return "its binary is not on record";
  if (facts.exe()[0] != '/') return "its binary stands in no file system that this host mounts";
  if (!IsPlain(facts.exe())) return "the path of its binary has unusual characters";
  if (!facts.exe_trusted()) {
    return "when it was started, its binary could be written by others than root";
  }
  if (IsInterpreter(facts)) {
    return absl::StrCat(NameOf(facts.exe()),
                        " runs whatever script or module it is given: a rule on it allows them "
                        "all, a web shell's too; hand mail to the local server, or narrow a rule "
                        "by user, port and destination");
  }
  if (Contains(kTools, NameOf(facts.exe()))) {
    return absl::StrCat(NameOf(facts.exe()),
                        " sends whatever its caller says: a rule on it "
                        "allows every caller");
  }
  return "";
}

ProposedRule Propose(const Applicant& applicant, std::set<std::string>& taken) {
  ProposedRule rule;
  if (applicant.to_this_host) {
    rule.name = UniqueName("local", taken);
    rule.fields = {{"destination", "local"}, {"action", "allow"}};
    return rule;
  }
  const v1::Event& facts = applicant.facts;
  rule.name =
      UniqueName(absl::StrCat(facts.user().empty() ? absl::StrCat(facts.uid()) : facts.user(), "-",
                              NameOf(facts.exe())),
                 taken);
  std::vector<std::string> users = {UserOf(facts.user(), facts.uid())};
  if (facts.euid() != facts.uid()) users.push_back(absl::StrCat(facts.euid()));
  rule.fields.emplace_back("user", ListOf(users));
  rule.fields.emplace_back("exe", Quoted(facts.exe()));
  // Nobody but root gets past that.
  if (facts.has_started_as() && facts.started_as() == 0) {
    rule.fields.emplace_back("started_as", "root");
  } else {
    rule.warning =
        "whoever has the rights of that user can start it with a library of his own (LD_PRELOAD) "
        "and pass: keep it narrow";
  }
  std::vector<std::string> ports;
  for (const uint32_t port : applicant.ports) ports.push_back(absl::StrCat(port));
  rule.fields.emplace_back("port", ListOf(ports));
  // Port 25 goes wherever a recipient is.
  if (applicant.ports.count(kSmtp) == 0 && !applicant.more_destinations &&
      applicant.destinations.size() <= kDestinationsInARule) {
    std::vector<std::string> destinations;
    for (const std::string& address : applicant.destinations) {
      destinations.push_back(absl::StrCat("\"", address, "\""));
    }
    rule.fields.emplace_back("destination", ListOf(destinations));
  }
  rule.fields.emplace_back("action", "allow");
  return rule;
}

}  // namespace postern::cli
