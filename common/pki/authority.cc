// SPDX-License-Identifier: Apache-2.0
#include "common/pki/authority.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/rand.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <set>
#include <system_error>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/atomic_file.h"
#include "common/log.h"
#include "common/small_file.h"
#include "common/status.h"

namespace postern::pki {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxFileBytes = size_t{64} << 10;
constexpr size_t kTokenBytes = 24;
constexpr absl::Duration kAuthorityValid = absl::Hours(24 * 3650);
constexpr absl::Duration kCollectorValid = absl::Hours(24 * 90);
// What agents check by their own clocks begins in the past: clocks may be slow.
constexpr absl::Duration kSlowClock = absl::Hours(24);
constexpr size_t kMaxHostBytes = 255;
// RFC 1035, 2.3.4.
constexpr size_t kMaxDnsBytes = 253;
constexpr size_t kMaxLabelBytes = 63;

absl::StatusOr<std::string> Read(const std::string& path) {
  absl::StatusOr<std::string> text = ReadSmallFile(path, kMaxFileBytes, Links::kRefuse);
  if (text.ok()) return text;
  return absl::Status(text.status().code(), absl::StrCat(path, " ", text.status().message()));
}

// Whoever may write there may make themselves a certificate. What is not there, or cannot
// be looked at, those say who read it.
absl::Status CheckOthersCannotWrite(const std::string& path) {
  struct stat status = {};
  if (lstat(path.c_str(), &status) != 0) return absl::OkStatus();
  const bool ours = status.st_uid == 0 || status.st_uid == geteuid();
  if (ours && (status.st_mode & (S_IWGRP | S_IWOTH)) == 0) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      path, ": others can write it, and so make themselves certificates; look who did, then ",
      ours ? "chmod go-w " : "chown root ", path));
}

absl::Status MakeFolder(const std::string& path) {
  if (mkdir(path.c_str(), 0700) == 0) return absl::OkStatus();
  return ErrnoStatus(errno, absl::StrCat("cannot make the folder ", path));
}

bool IsName(const std::string& text) {
  return !text.empty() && text.size() <= kMaxHostBytes &&
         std::all_of(text.begin(), text.end(),
                     [](unsigned char c) { return absl::ascii_isgraph(c) != 0; });
}

struct Token {
  std::string host;
  absl::Time until;
};

absl::StatusOr<Token> ReadToken(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, Read(path));
  const std::vector<std::string> words = absl::StrSplit(absl::StripAsciiWhitespace(text), ' ');
  int64_t second = 0;
  if (words.size() != 2 || !absl::SimpleAtoi(words[1], &second)) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": is no token; remove it"));
  }
  return Token{.host = words[0], .until = absl::FromUnixSeconds(second)};
}

// SHA-256, in hexadecimal digits.
std::string HashOf(absl::string_view text) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  EVP_Digest(text.data(), text.size(), digest, &size, EVP_sha256(), nullptr);
  return absl::BytesToHexString(absl::string_view(reinterpret_cast<const char*>(digest), size));
}

bool IsAddress(const std::string& text) {
  unsigned char bytes[sizeof(in6_addr)];
  return inet_pton(AF_INET, text.c_str(), bytes) == 1 ||
         inet_pton(AF_INET6, text.c_str(), bytes) == 1;
}

bool IsLabel(absl::string_view label) {
  return !label.empty() && label.size() <= kMaxLabelBytes && label.front() != '-' &&
         label.back() != '-' && std::all_of(label.begin(), label.end(), [](unsigned char c) {
           return absl::ascii_isalnum(c) || c == '-' || c == '_';
         });
}

// One that ends in a number would be taken for an address (RFC 1123, 2.1).
bool IsDnsName(const std::string& text) {
  const std::vector<absl::string_view> labels = absl::StrSplit(text, '.');
  const absl::string_view last = labels.back();
  return text.size() <= kMaxDnsBytes && std::all_of(labels.begin(), labels.end(), IsLabel) &&
         !std::all_of(last.begin(), last.end(),
                      [](unsigned char c) { return absl::ascii_isdigit(c); });
}

absl::Status Worthless() {
  return absl::PermissionDeniedError(
      "this token is not known, was used or has expired; make another on the collector's "
      "machine: postern pki token HOST");
}

absl::Status ForAnother(const Token& token, const std::string& host) {
  return absl::FailedPreconditionError(
      absl::StrCat("this token is for host ", token.host, ", and the agent calls itself ", host,
                   ": write `host: ", token.host,
                   "` in its configuration and use the token again, or "
                   "make one for ",
                   host, ": postern pki token ", host));
}

}  // namespace

tls::Files CollectorFiles(const std::string& folder) {
  return {.ca = folder + "/ca.pem",
          .cert = folder + "/collector.pem",
          .key = folder + "/collector.key",
          .crl = ""};
}

std::string RevocationsFile(const std::string& folder) { return folder + "/revoked"; }

absl::Status CheckHostName(const std::string& host) {
  if (IsName(host) && !absl::StrContains(host, "*")) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("'", absl::CHexEscape(host),
                                                 "' is no name of a host: 1 to ", kMaxHostBytes,
                                                 " printable characters without a space or '*'"));
}

absl::Status CheckServerName(const std::string& name) {
  if (IsAddress(name) || IsDnsName(name)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("'", absl::CHexEscape(name),
                   "' is no name of a host, nor an address: it wants one like "
                   "collector.example.net, 192.0.2.10 or 2001:db8::10, without a port"));
}

absl::StatusOr<Authority> Authority::Init(const std::string& folder,
                                          const std::vector<std::string>& servers, absl::Time now) {
  if (std::error_code error; fs::exists(folder, error)) {
    return absl::AlreadyExistsError(
        absl::StrCat(folder,
                     ": is there already; a new CA would make every certificate of the "
                     "old one worthless. To begin anew, remove the folder"));
  }
  ASSIGN_OR_RETURN(tls::KeyPtr key, tls::MakeKey());
  tls::Issue issue;
  issue.use = tls::Use::kAuthority;
  issue.common_name = "Postern CA";
  issue.not_before = now - kSlowClock;
  issue.not_after = now + kAuthorityValid;
  ASSIGN_OR_RETURN(tls::CertificatePtr certificate,
                   tls::Sign(issue, *key, /*authority=*/nullptr, *key));
  ASSIGN_OR_RETURN(const tls::KeyPtr collector_key, tls::MakeKey());
  RETURN_IF_ERROR(MakeFolder(folder));
  Authority authority(folder, std::move(key), std::move(certificate));
  if (absl::Status filled = authority.Fill(*collector_key, servers, now); !filled.ok()) {
    // Half of one would be in the way of the next try.
    std::error_code ignored;
    fs::remove_all(folder, ignored);
    return filled;
  }
  return authority;
}

absl::Status Authority::Fill(EVP_PKEY& collector_key, const std::vector<std::string>& servers,
                             absl::Time now) {
  RETURN_IF_ERROR(MakeFolder(File("tokens")));
  RETURN_IF_ERROR(WriteFileAtomically(File("collector.key"), tls::ToPem(collector_key)));
  RETURN_IF_ERROR(IssueCollector(collector_key, servers, now));
  RETURN_IF_ERROR(WriteFileAtomically(File("ca.key"), tls::ToPem(*key_)));
  // Last: a folder with it is whole.
  return WriteFileAtomically(File("ca.pem"), CertificatePem());
}

absl::StatusOr<Authority> Authority::Open(const std::string& folder) {
  for (const char* file : {"", "/ca.pem", "/ca.key", "/revoked"}) {
    RETURN_IF_ERROR(CheckOthersCannotWrite(absl::StrCat(folder, file)));
  }
  const absl::StatusOr<std::string> pem = Read(folder + "/ca.pem");
  if (absl::IsNotFound(pem.status())) {
    return absl::NotFoundError(absl::StrCat(folder, ": no CA here; make one: postern pki init",
                                            folder == kDefaultFolder ? "" : " --dir " + folder));
  }
  RETURN_IF_ERROR(pem.status());
  absl::StatusOr<std::vector<tls::CertificatePtr>> read = tls::ReadCertificates(*pem);
  if (!read.ok()) {
    return absl::FailedPreconditionError(
        absl::StrCat(folder, "/ca.pem: ", read.status().message()));
  }
  std::vector<tls::CertificatePtr> certificates = *std::move(read);
  ASSIGN_OR_RETURN(tls::KeyPtr key, tls::ReadKeyFile(folder + "/ca.key"));
  if (X509_check_private_key(certificates.front().get(), key.get()) != 1) {
    return tls::OpenSslStatus(absl::StrCat(folder, "/ca.key"));
  }
  return Authority(folder, std::move(key), std::move(certificates.front()));
}

absl::Status Authority::IssueCollector(EVP_PKEY& key, const std::vector<std::string>& servers,
                                       absl::Time now) {
  tls::Issue issue;
  issue.use = tls::Use::kServer;
  issue.common_name = "postern-collector";
  issue.servers = servers;
  issue.not_before = now - kSlowClock;
  issue.not_after = now + kCollectorValid;
  ASSIGN_OR_RETURN(const tls::CertificatePtr certificate,
                   tls::Sign(issue, key, certificate_.get(), *key_));
  return WriteFileAtomically(File("collector.pem"), tls::ToPem(*certificate));
}

std::string Authority::TokenFile(const std::string& token) const {
  return File("tokens/" + HashOf(token));
}

template <typename Judge>
absl::Status Authority::RemoveTokens(const Judge& judge) {
  std::error_code error;
  for (fs::directory_iterator it(File("tokens"), error), end; it != end; it.increment(error)) {
    if (error) break;
    const absl::StatusOr<Token> token = ReadToken(it->path());
    // Used meanwhile, or no token: not ours to judge.
    if (token.ok() && judge(*token)) unlink(it->path().c_str());
  }
  if (!error) return absl::OkStatus();
  return ErrnoStatus(error.value(), File("tokens"));
}

absl::StatusOr<std::string> Authority::MakeToken(const std::string& host, absl::Time now,
                                                 absl::Duration valid) {
  RETURN_IF_ERROR(CheckHostName(host));
  RETURN_IF_ERROR(RemoveTokens([&](const Token& token) { return token.until < now; }));
  unsigned char random[kTokenBytes];
  if (RAND_bytes(random, sizeof(random)) != 1) return tls::OpenSslStatus("no random bytes");
  // No base64: a token that begins with '-' would be taken for an option.
  std::string token = absl::BytesToHexString(
      absl::string_view(reinterpret_cast<const char*>(random), sizeof(random)));
  RETURN_IF_ERROR(WriteFileAtomically(
      TokenFile(token), absl::StrCat(host, " ", absl::ToUnixSeconds(now + valid), "\n")));
  return token;
}

absl::StatusOr<std::string> Authority::Redeem(const std::string& token, const std::string& host,
                                              absl::Time now) {
  const std::string path = TokenFile(token);
  const absl::StatusOr<Token> read = ReadToken(path);
  if (absl::IsNotFound(read.status())) return Worthless();
  RETURN_IF_ERROR(read.status());
  if (!host.empty() && host != read->host && now <= read->until) return ForAnother(*read, host);
  // Who removes it has used it.
  if (unlink(path.c_str()) != 0) {
    return errno == ENOENT ? Worthless() : ErrnoStatus(errno, path);
  }
  if (read->until < now) return Worthless();
  return read->host;
}

absl::StatusOr<absl::Time> Authority::FirstValid(Role role, const std::string& name,
                                                 absl::Time now) const {
  ASSIGN_OR_RETURN(const Revocations revoked, Revocations::Load(RevocationsFile(folder_)));
  return std::max(now, revoked.RevokedUntil(role, name) + absl::Seconds(1));
}

absl::StatusOr<std::string> Authority::IssueAgent(const std::string& host,
                                                  const std::string& request, absl::Time now,
                                                  absl::Duration valid) {
  RETURN_IF_ERROR(CheckHostName(host));
  ASSIGN_OR_RETURN(const tls::KeyPtr key, tls::KeyOfRequest(request));
  tls::Issue issue;
  issue.common_name = host;
  issue.uris = {absl::StrCat(tls::kAgentUri, host)};
  ASSIGN_OR_RETURN(issue.not_before, FirstValid(Role::kAgent, host, now));
  issue.not_after = now + valid;
  ASSIGN_OR_RETURN(const tls::CertificatePtr certificate,
                   tls::Sign(issue, *key, certificate_.get(), *key_));
  Record(Role::kAgent, host, issue.not_after);
  return tls::ToPem(*certificate);
}

absl::StatusOr<Authority::KeyAndCertificate> Authority::IssueOperator(
    const std::string& name, const std::vector<std::string>& hosts, absl::Time now,
    absl::Duration valid) {
  RETURN_IF_ERROR(CheckHostName(name));
  for (const std::string& host : hosts) {
    if (!IsName(host)) {
      return absl::InvalidArgumentError(
          absl::StrCat("'", absl::CHexEscape(host), "' is no host, nor a pattern of hosts"));
    }
  }
  ASSIGN_OR_RETURN(const tls::KeyPtr key, tls::MakeKey());
  tls::Issue issue;
  issue.common_name = name;
  issue.uris = {absl::StrCat(tls::kOperatorUri, name)};
  for (const std::string& host : hosts) issue.uris.push_back(absl::StrCat(tls::kHostUri, host));
  ASSIGN_OR_RETURN(issue.not_before, FirstValid(Role::kOperator, name, now));
  issue.not_after = now + valid;
  ASSIGN_OR_RETURN(const tls::CertificatePtr certificate,
                   tls::Sign(issue, *key, certificate_.get(), *key_));
  Record(Role::kOperator, name, issue.not_after);
  return KeyAndCertificate{.key = tls::ToPem(*key), .certificate = tls::ToPem(*certificate)};
}

void Authority::Record(Role role, const std::string& name, absl::Time until) const {
  const std::string folder = File("issued");
  const std::string who = absl::StrCat(RoleName(role), " ", name);
  absl::Status kept;
  // A folder of an earlier version has none.
  if (mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) kept = ErrnoStatus(errno, folder);
  if (kept.ok()) {
    kept = WriteFileAtomically(absl::StrCat(folder, "/", HashOf(who)),
                               absl::StrCat(who, " ", absl::ToUnixSeconds(until), "\n"));
  }
  if (kept.ok()) return;
  LogWarning("the certificate of %s is issued, but not on record: %s", who,
             std::string(kept.message()));
}

std::vector<std::string> Authority::KnownNames(Role role) const {
  std::set<std::string> names;
  const auto look = [this](const char* folder, const auto& take) {
    std::error_code error;
    for (fs::directory_iterator it(File(folder), error), end; !error && it != end;
         it.increment(error)) {
      const absl::StatusOr<std::string> text = Read(it->path());
      if (!text.ok()) continue;
      const std::vector<std::string> words = absl::StrSplit(absl::StripAsciiWhitespace(*text), ' ');
      take(words);
    }
  };
  look("issued", [&](const std::vector<std::string>& words) {
    if (words.size() == 3 && words[0] == RoleName(role)) names.insert(words[1]);
  });
  if (role == Role::kAgent) {
    look("tokens", [&](const std::vector<std::string>& words) {
      if (words.size() == 2) names.insert(words[0]);
    });
  }
  return {names.begin(), names.end()};
}

absl::Status Authority::Revoke(Role role, const std::string& name, absl::Time now) {
  RETURN_IF_ERROR(CheckHostName(name));
  RETURN_IF_ERROR(Revocations::Add(RevocationsFile(folder_), role, name, now));
  if (role != Role::kAgent) return absl::OkStatus();
  return RemoveTokens([&](const Token& token) { return token.host == name; });
}

absl::StatusOr<bool> Authority::RenewCollector(absl::Time now) {
  ASSIGN_OR_RETURN(const std::string pem, Read(File("collector.pem")));
  ASSIGN_OR_RETURN(const std::vector<tls::CertificatePtr> chain, tls::ReadCertificates(pem));
  X509& certificate = *chain.front();
  const absl::Time half =
      tls::NotBefore(certificate) + (tls::NotAfter(certificate) - tls::NotBefore(certificate)) / 2;
  if (now < half) return false;
  ASSIGN_OR_RETURN(const std::string key_pem, Read(File("collector.key")));
  ASSIGN_OR_RETURN(const tls::KeyPtr key, tls::ReadKey(key_pem));
  RETURN_IF_ERROR(IssueCollector(*key, tls::ServersOf(certificate), now));
  return true;
}

}  // namespace postern::pki
