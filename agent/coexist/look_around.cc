// SPDX-License-Identifier: Apache-2.0
#include "agent/coexist/look_around.h"

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "agent/coexist/bounded_input.h"
#include "agent/coexist/denials.h"
#include "agent/coexist/iptables.h"
#include "agent/coexist/nftables.h"
#include "agent/coexist/packet_rules.h"
#include "agent/coexist/settings.h"

namespace postern::coexist {
namespace {

// A host with 20,000 rules prints about 3 MB; one with large sets of addresses more.
constexpr size_t kListingBytes = 16 << 20;
constexpr absl::Duration kListingTime = absl::Seconds(3);
// csf.conf has 100 KB.
constexpr size_t kSettingsBytes = 1 << 20;
constexpr size_t kLogBytes = 1 << 20;
constexpr absl::Duration kDenialsSince = absl::Hours(24);

class Look {
 public:
  Look(const Subject& subject, const std::atomic<bool>& stop) : subject_(subject), stop_(stop) {}

  std::vector<std::string> Take() {
    PacketFilters();
    SettingsFiles();
    Logs();
    return std::move(notes_);
  }

 private:
  std::string Path(absl::string_view path) const { return absl::StrCat(subject_.root, path); }
  Bounds Within(size_t bytes) const {
    return {.bytes = bytes, .time = kListingTime, .stop = &stop_};
  }
  void Say(const std::vector<std::string>& notes) {
    for (const std::string& note : notes) {
      // Two tools may list the same rules.
      if (std::find(notes_.begin(), notes_.end(), note) == notes_.end()) notes_.push_back(note);
    }
  }
  // What is not there is no news.
  void SayFailure(const absl::Status& status, absl::string_view what) {
    if (status.ok() || absl::IsNotFound(status) || absl::IsCancelled(status)) return;
    Say({absl::StrCat(status.message(), ": ", what)});
  }

  void PacketFilters() {
    constexpr absl::string_view kUnknown =
        "there may be packet filter rules on mail ports that are not named here";
    // Tables of the older kernel interface, where there are any, are another tool's.
    std::set<Chain> listed;
    for (const auto& [family, tool, names] :
         {std::tuple("ip", "iptables", "/proc/net/ip_tables_names"),
          std::tuple("ip6", "ip6tables", "/proc/net/ip6_tables_names")}) {
      bool legacy = false;
      (void)ReadLines(Path(names), Within(kMaxLine), [&](absl::string_view) { legacy = true; });
      for (const std::string& save : {absl::StrCat("/usr/sbin/", tool, "-save"),
                                      absl::StrCat("/usr/sbin/", tool, "-legacy-save")}) {
        if (absl::StrContains(save, "legacy") && !legacy) continue;
        PacketRules rules(tool);
        IptablesListing listing(subject_.ports, family, &rules);
        const absl::Status status =
            RunLines({Path(save)}, Within(kListingBytes),
                     [&](absl::string_view line) { listing.AddLine(line); });
        SayFailure(status, kUnknown);
        Say(rules.Notes());
        listed.insert(listing.in_nf_tables().begin(), listing.in_nf_tables().end());
      }
    }
    PacketRules rules("nft");
    NftListing listing(subject_.ports, std::move(listed), &rules);
    const absl::Status status =
        RunLines({Path("/usr/sbin/nft"), "-n", "-s", "list", "ruleset"}, Within(kListingBytes),
                 [&](absl::string_view line) { listing.AddLine(line); });
    SayFailure(status, kUnknown);
    Say(rules.Notes());
  }

  // The first of `paths` that is there, whole; "" where none is.
  std::string ReadSettings(const std::vector<std::string>& paths, std::string* path) {
    for (const std::string& candidate : paths) {
      std::string text;
      const absl::Status status =
          ReadLines(Path(candidate), Within(kSettingsBytes),
                    [&](absl::string_view line) { absl::StrAppend(&text, line, "\n"); });
      if (absl::IsNotFound(status)) continue;
      SayFailure(status, "what it says of mail ports may not be named here");
      *path = candidate;
      return text;
    }
    return "";
  }

  void SettingsFiles() {
    std::string path;
    if (const std::string text = ReadSettings({"/etc/csf/csf.conf"}, &path); !text.empty()) {
      Say(CsfNotes(text, path));
    }
    if (const std::string text = ReadSettings({"/etc/sysconfig/imunify360/imunify360-merged.config",
                                               "/etc/sysconfig/imunify360/imunify360.config"},
                                              &path);
        !text.empty()) {
      Say(Imunify360Notes(text, path));
    }
    if (const std::string text = ReadSettings({"/etc/firewalld/direct.xml"}, &path);
        !text.empty()) {
      Say(FirewalldNotes(subject_.ports, text, path));
    }
  }

  void Logs() {
    Denials denials(subject_.own_paths, absl::Now() - kDenialsSince);
    constexpr absl::string_view kUnknown =
        "denials by SELinux or AppArmor are not looked for there";
    for (const std::string path : {"/var/log/audit/audit.log", "/var/log/kern.log"}) {
      SayFailure(ReadLastLines(Path(path), Within(kLogBytes),
                               [&](absl::string_view line) { denials.AddLine(line, path); }),
                 kUnknown);
    }
    // Where no auditd runs, the kernel's own log has them. Without a journal the
    // program fails, and there is nothing to tell.
    (void)RunLines({Path("/usr/bin/journalctl"), "--dmesg", "--quiet", "--no-pager", "--output=cat",
                    "--lines=2000"},
                   Within(kLogBytes),
                   [&](absl::string_view line) { denials.AddLine(line, "the kernel's log"); });
    Say(denials.Notes());
  }

  const Subject& subject_;
  const std::atomic<bool>& stop_;
  std::vector<std::string> notes_;
};

}  // namespace

std::vector<std::string> LookAround(const Subject& subject, const std::atomic<bool>& stop) {
  return Look(subject, stop).Take();
}

}  // namespace postern::coexist
