// SPDX-License-Identifier: Apache-2.0
#include "cli/command.h"

#include <CLI/CLI.hpp>
#include <cstdint>
#include <filesystem>
#include <system_error>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "cli/text.h"
#include "common/pki/authority.h"
#include "common/time_text.h"
#include "common/utf8.h"

namespace postern::cli {

CLI::App& AddPolicyCommands(CLI::App& root) {
  CLI::App* policy = root.add_subcommand("policy", "Ask about the policy, or put it in force anew");
  policy->require_subcommand(1);
  policy->footer(
      "Examples:\n"
      "  postern policy test --user www-data --exe /usr/bin/php8.2 --to 192.0.2.25:25\n"
      "  postern policy show\n"
      "  postern policy learn --since 7d > proposal.yaml\n"
      "  postern policy would --file proposal.yaml\n"
      "  postern policy reload");
  return *policy;
}

CLI::App& AddPkiCommands(CLI::App& root) {
  CLI::App* pki = root.add_subcommand("pki", "Certificates of agents and operators");
  pki->require_subcommand(1);
  pki->footer(
      "Run these on the collector's machine, as root.\n\n"
      "Examples:\n"
      "  postern pki init --name collector.example.net\n"
      "  postern pki token web1.example.net\n"
      "  postern pki operator alice --out /root/alice\n"
      "  postern pki revoke web1.example.net");
  return *pki;
}

void AddPkiFolderOption(CLI::App& app, std::string& folder) {
  folder = pki::kDefaultFolder;
  app.add_option("--dir", folder, std::string("the CA's folder; if absent\n") + folder)
      ->option_text("DIR");
}

absl::StatusOr<absl::Duration> ReadValidity(absl::string_view option, const std::string& text,
                                            absl::Duration most) {
  constexpr absl::Duration kLeast = absl::Seconds(1);
  const absl::StatusOr<uint64_t> read = ParseDuration(text);
  if (read.ok() && *read >= static_cast<uint64_t>(absl::ToInt64Nanoseconds(kLeast)) &&
      *read <= static_cast<uint64_t>(absl::ToInt64Nanoseconds(most))) {
    return absl::Nanoseconds(static_cast<int64_t>(*read));
  }
  return absl::InvalidArgumentError(
      absl::StrCat(option, " wants a time from 1s to ",
                   FormatDuration(static_cast<uint64_t>(absl::ToInt64Nanoseconds(most))),
                   ", like 15m or 7d, not '", absl::CHexEscape(text), "'"));
}

absl::StatusOr<std::string> AbsoluteFolder(absl::string_view option, const std::string& folder) {
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::absolute(folder, error);
  if (folder.empty() || error) {
    return absl::InvalidArgumentError(absl::StrCat(option, " wants the path of a folder"));
  }
  std::string path = absolute.lexically_normal();
  if (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

absl::Status CheckAsked(absl::string_view option, const std::string& text) {
  if (text.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(option, ": \"\" is empty; give it a value or leave it out"));
  }
  if (IsUtf8(text)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(option, ": \"", Printable(text),
                   "\" has bytes that are not UTF-8; write them as answers show them, like \\xff"));
}

void AddJsonOption(CLI::App& app, bool& json) {
  app.add_flag("--json", json, "one JSON object a line");
}

void AddLocalOption(CLI::App& app, bool& local) {
  app.add_flag("--local", local, "times in the local zone, not UTC");
}

void AddAgentOption(CLI::App& app, std::string& address, const std::string& by_default) {
  address = by_default;
  app.add_option("--agent", address, "the agent; if absent\n" + by_default)
      ->option_text("unix:PATH");
}

void CollectorOptions::AddTo(CLI::App& app) {
  app.add_option("--collector", address,
                 std::string("unix:PATH or HOST:PORT; if absent\n$POSTERN_COLLECTOR, then\n") +
                     kCollectorSocket)
      ->option_text("ADDRESS")
      ->envname("POSTERN_COLLECTOR")
      ->group("Collector");
  app.add_option("--ca", ca, "for HOST:PORT: who signed its certificate;\nif absent $POSTERN_CA")
      ->option_text("FILE")
      ->envname("POSTERN_CA")
      ->group("Collector");
  app.add_option("--cert", cert, "for HOST:PORT: your certificate;\nif absent $POSTERN_CERT")
      ->option_text("FILE")
      ->envname("POSTERN_CERT")
      ->group("Collector");
  app.add_option("--key", key, "for HOST:PORT: your private key;\nif absent $POSTERN_KEY")
      ->option_text("FILE")
      ->envname("POSTERN_KEY")
      ->group("Collector");
}

absl::StatusOr<Endpoint> CollectorOptions::ToEndpoint() const {
  return CollectorEndpoint(address, {.ca = ca, .cert = cert, .key = key, .crl = ""});
}

}  // namespace postern::cli
