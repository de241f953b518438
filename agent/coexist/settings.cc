// SPDX-License-Identifier: Apache-2.0
#include "agent/coexist/settings.h"

#include <map>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "agent/coexist/iptables.h"
#include "agent/coexist/packet_rules.h"

namespace postern::coexist {
namespace {

absl::string_view Unquoted(absl::string_view text) {
  text = absl::StripAsciiWhitespace(text);
  for (const char* quote : {"\"", "'"}) {
    if (text.size() >= 2 && absl::StartsWith(text, quote) && absl::EndsWith(text, quote)) {
      return text.substr(1, text.size() - 2);
    }
  }
  return text;
}

bool IsTrue(absl::string_view text) {
  return absl::EqualsIgnoreCase(text, "true") || absl::EqualsIgnoreCase(text, "yes") ||
         absl::EqualsIgnoreCase(text, "on") || text == "1";
}

// Who passes a block by users, in words.
std::string Passing(const std::string& users, const std::string& groups) {
  std::string who = "root";
  if (!users.empty()) absl::StrAppend(&who, ", users ", Shown(users));
  if (!groups.empty()) absl::StrAppend(&who, ", groups ", Shown(groups));
  return who;
}

// What both suites do, with what it means.
std::string BlockNote(absl::string_view suite, const std::string& path, absl::string_view setting,
                      const std::string& ports, const std::string& passing, bool redirects) {
  return absl::StrCat(
      suite, " (", path, ") has ", setting, " on for ports ", Shown(ports), ": ", passing,
      " pass, ",
      redirects ? "connections of others go to the local mail server"
                : "connections of others are rejected",
      ", after Postern has judged: an event `allowed` does not mean that mail left",
      redirects ? " for where the event says" : "",
      "; a sender needs both, and the list of users can be given up once Postern enforces");
}

// The value of attribute `name` in the text of a tag; "" where there is none.
std::string Attribute(absl::string_view tag, absl::string_view name) {
  const std::string begin = absl::StrCat(name, "=");
  for (size_t at = tag.find(begin); at != absl::string_view::npos; at = tag.find(begin, at + 1)) {
    if (at > 0 && !absl::ascii_isspace(static_cast<unsigned char>(tag[at - 1]))) continue;
    absl::string_view value = tag.substr(at + begin.size());
    if (value.empty() || (value[0] != '"' && value[0] != '\'')) return "";
    const size_t end = value.find(value[0], 1);
    return end == absl::string_view::npos ? "" : std::string(value.substr(1, end - 1));
  }
  return "";
}

std::string WithoutComments(absl::string_view text) {
  std::string without;
  while (true) {
    const size_t begin = text.find("<!--");
    absl::StrAppend(&without, text.substr(0, begin));
    if (begin == absl::string_view::npos) return without;
    const size_t end = text.find("-->", begin);
    if (end == absl::string_view::npos) return without;
    text.remove_prefix(end + 3);
  }
}

// The table of `-t NAME`, and what follows `-A CHAIN`, taken out of a command line.
bool TakeCommand(std::vector<std::string>& words, const std::string& family, Chain& chain) {
  chain.table = absl::StrCat(family, " filter");
  std::vector<std::string> rest;
  bool adds = false;
  for (size_t i = 0; i < words.size(); ++i) {
    const bool has_value = i + 1 < words.size();
    if ((words[i] == "-t" || words[i] == "--table") && has_value) {
      chain.table = absl::StrCat(family, " ", words[++i]);
    } else if ((words[i] == "-A" || words[i] == "--append" || words[i] == "-I" ||
                words[i] == "--insert") &&
               has_value) {
      chain.name = words[++i];
      adds = true;
    } else {
      rest.push_back(words[i]);
    }
  }
  words = std::move(rest);
  return adds;
}

}  // namespace

std::vector<std::string> CsfNotes(absl::string_view text, const std::string& path) {
  std::map<std::string, std::string> settings;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    const absl::string_view bare = absl::StripAsciiWhitespace(line);
    if (!absl::StartsWith(bare, "SMTP_")) continue;
    const std::pair<absl::string_view, absl::string_view> setting =
        absl::StrSplit(bare, absl::MaxSplits('=', 1));
    settings[std::string(absl::StripAsciiWhitespace(setting.first))] =
        std::string(Unquoted(setting.second));
  }
  if (settings["SMTP_BLOCK"] != "1") {
    return {absl::StrCat("CSF (", path,
                         ") is here with SMTP_BLOCK off: it leaves mail ports to Postern")};
  }
  return {BlockNote("CSF", path, "SMTP_BLOCK", settings["SMTP_PORTS"],
                    Passing(settings["SMTP_ALLOWUSER"], settings["SMTP_ALLOWGROUP"]),
                    settings["SMTP_REDIRECT"] == "1")};
}

std::vector<std::string> Imunify360Notes(absl::string_view text, const std::string& path) {
  std::map<std::string, std::string> settings;
  std::string key;
  bool inside = false;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    const absl::string_view bare = absl::StripAsciiWhitespace(line);
    if (bare.empty() || bare[0] == '#') continue;
    if (line[0] != ' ' && line[0] != '-') {
      inside = bare == "SMTP_BLOCKING:";
      continue;
    }
    if (!inside) continue;
    absl::string_view value = bare;
    if (absl::ConsumePrefix(&value, "- ")) {
      absl::StrAppend(&settings[key], settings[key].empty() ? "" : ",", Unquoted(value));
      continue;
    }
    const std::pair<absl::string_view, absl::string_view> setting =
        absl::StrSplit(bare, absl::MaxSplits(':', 1));
    key = std::string(setting.first);
    value = Unquoted(setting.second);
    // A list may also stand on one line.
    absl::ConsumePrefix(&value, "[");
    absl::ConsumeSuffix(&value, "]");
    settings[key] = absl::StrReplaceAll(value, {{" ", ""}});
  }
  if (!IsTrue(settings["enable"])) {
    return {absl::StrCat("Imunify360 (", path,
                         ") is here with SMTP_BLOCKING off: it leaves mail ports to Postern")};
  }
  return {BlockNote("Imunify360", path, "SMTP_BLOCKING", settings["ports"],
                    Passing(settings["allow_users"], settings["allow_groups"]),
                    IsTrue(settings["redirect"]))};
}

std::vector<std::string> FirewalldNotes(const Ports& ports, absl::string_view text,
                                        const std::string& path) {
  const std::string bare = WithoutComments(text);
  PacketRules rules(absl::StrCat("firewalld direct (", path, ")"));
  for (const char* table : {"filter", "nat", "mangle", "raw", "security"}) {
    for (const char* family : {"ip", "ip6"}) {
      for (const char* chain : {"OUTPUT", "POSTROUTING"}) {
        rules.AddWayOut({absl::StrCat(family, " ", table), chain});
      }
    }
  }
  absl::string_view rest = bare;
  while (true) {
    const size_t begin = rest.find('<');
    if (begin == absl::string_view::npos) break;
    rest.remove_prefix(begin + 1);
    const size_t tag_end = rest.find('>');
    if (tag_end == absl::string_view::npos) break;
    const absl::string_view tag = rest.substr(0, tag_end);
    const bool is_rule = absl::StartsWith(tag, "rule ");
    if (!is_rule && !absl::StartsWith(tag, "passthrough ")) continue;
    if (absl::EndsWith(tag, "/")) continue;
    rest.remove_prefix(tag_end + 1);
    const std::string arguments = absl::StrReplaceAll(
        rest.substr(0, rest.find('<')),
        {{"&lt;", "<"}, {"&gt;", ">"}, {"&quot;", "\""}, {"&apos;", "'"}, {"&amp;", "&"}});
    std::vector<std::string> words = Words(arguments);
    const std::string family = Attribute(tag, "ipv") == "ipv6" ? "ip6" : "ip";
    Chain chain{absl::StrCat(family, " ", Attribute(tag, "table")), Attribute(tag, "chain")};
    if (!is_rule && !TakeCommand(words, family, chain)) continue;
    rules.Add(ReadIptablesRule(ports, chain, words));
  }
  return rules.Notes();
}

}  // namespace postern::coexist
