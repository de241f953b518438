// SPDX-License-Identifier: Apache-2.0
#include "common/tls/certificate.h"

#include <arpa/inet.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>

#include <algorithm>
#include <ctime>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/status.h"

namespace postern::tls {
namespace {

// X.509's version 3 is written as 2 (RFC 5280, 4.1.2.1).
constexpr long kVersion3 = 2;
// 20 bytes at most, of which the first bit is 0 (RFC 5280, 4.1.2.2).
constexpr int kSerialBits = 126;
// An upper bound of the standard (RFC 5280, appendix A.1, ub-common-name).
constexpr size_t kMaxCommonName = 64;

template <typename Write, typename T>
std::string Pem(Write write, T& object) {
  const BioPtr out(BIO_new(BIO_s_mem()));
  return write(out.get(), &object) == 1 ? Written(out.get()) : "";
}

bool IsAddress(const std::string& text) {
  unsigned char bytes[16];
  return inet_pton(AF_INET, text.c_str(), bytes) == 1 ||
         inet_pton(AF_INET6, text.c_str(), bytes) == 1;
}

bool IsP256(EVP_PKEY& key) {
  char group[32] = {};
  size_t size = 0;
  return EVP_PKEY_is_a(&key, "EC") == 1 &&
         EVP_PKEY_get_group_name(&key, group, sizeof(group), &size) == 1 &&
         absl::string_view(group, size) == "prime256v1";
}

absl::Status AddAlternativeNames(const Issue& issue, X509& certificate) {
  if (issue.uris.empty() && issue.servers.empty()) return absl::OkStatus();
  const NamesPtr names(GENERAL_NAMES_new());
  const auto add = [&](int type, const std::string& text) {
    GENERAL_NAME* name = GENERAL_NAME_new();
    ASN1_STRING* value = nullptr;
    if (type == GEN_IPADD) {
      value = a2i_IPADDRESS(text.c_str());
    } else {
      value = ASN1_IA5STRING_new();
      ASN1_STRING_set(value, text.data(), static_cast<int>(text.size()));
    }
    GENERAL_NAME_set0_value(name, type, value);
    sk_GENERAL_NAME_push(names.get(), name);
  };
  for (const std::string& uri : issue.uris) add(GEN_URI, uri);
  for (const std::string& server : issue.servers) {
    add(IsAddress(server) ? GEN_IPADD : GEN_DNS, server);
  }
  if (X509_add1_ext_i2d(&certificate, NID_subject_alt_name, names.get(), /*crit=*/0, 0) != 1) {
    return OpenSslStatus("cannot name the certificate's owner");
  }
  return absl::OkStatus();
}

absl::Status AddExtensions(const Issue& issue, X509* authority, X509& certificate) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, authority == nullptr ? &certificate : authority, &certificate, nullptr,
                 nullptr, 0);
  std::vector<std::pair<int, const char*>> extensions;
  switch (issue.use) {
    case Use::kAuthority:
      extensions = {{NID_basic_constraints, "critical,CA:TRUE,pathlen:0"},
                    {NID_key_usage, "critical,keyCertSign,cRLSign"}};
      break;
    case Use::kServer:
      extensions = {{NID_basic_constraints, "critical,CA:FALSE"},
                    {NID_key_usage, "critical,digitalSignature"},
                    {NID_ext_key_usage, "serverAuth"}};
      break;
    case Use::kClient:
      extensions = {{NID_basic_constraints, "critical,CA:FALSE"},
                    {NID_key_usage, "critical,digitalSignature"},
                    {NID_ext_key_usage, "clientAuth"}};
      break;
  }
  extensions.emplace_back(NID_subject_key_identifier, "hash");
  // Of itself only once it has an identifier of its own.
  if (authority != nullptr) extensions.emplace_back(NID_authority_key_identifier, "keyid:always");
  for (const auto& [nid, value] : extensions) {
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value);
    const bool added =
        extension != nullptr && X509_add_ext(&certificate, extension, /*loc=*/-1) == 1;
    X509_EXTENSION_free(extension);
    if (!added) return OpenSslStatus("cannot extend the certificate");
  }
  return AddAlternativeNames(issue, certificate);
}

std::optional<std::string> Printable(const ASN1_STRING* text) {
  const unsigned char* data = ASN1_STRING_get0_data(text);
  const std::string name(reinterpret_cast<const char*>(data),
                         static_cast<size_t>(ASN1_STRING_length(text)));
  const bool printable = std::all_of(name.begin(), name.end(),
                                     [](unsigned char c) { return absl::ascii_isgraph(c) != 0; });
  if (name.empty() || !printable) return std::nullopt;
  return name;
}

NamesPtr AlternativeNames(X509& certificate) {
  return NamesPtr(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(&certificate, NID_subject_alt_name, nullptr, nullptr)));
}

absl::Time ToTime(const ASN1_TIME* time) {
  std::tm parts = {};
  // What cannot be read has long been over: fails closed.
  if (ASN1_TIME_to_tm(time, &parts) != 1) return absl::InfinitePast();
  return absl::FromTimeT(timegm(&parts));
}

}  // namespace

absl::StatusOr<KeyPtr> MakeKey() {
  KeyPtr key(EVP_EC_gen("P-256"));
  if (key == nullptr) return OpenSslStatus("cannot make a key");
  return key;
}

std::string ToPem(EVP_PKEY& key) {
  return Pem(
      [](BIO* out, EVP_PKEY* written) {
        return PEM_write_bio_PrivateKey(out, written, nullptr, nullptr, 0, nullptr, nullptr);
      },
      key);
}
std::string ToPem(X509& certificate) { return Pem(PEM_write_bio_X509, certificate); }
std::string ToPem(X509_REQ& request) { return Pem(PEM_write_bio_X509_REQ, request); }

absl::StatusOr<KeyPtr> ReadKey(absl::string_view pem) {
  // Without a way to ask for a password nobody waits at a terminal for one.
  const auto no_password = [](char*, int, int, void*) { return -1; };
  KeyPtr key(PEM_read_bio_PrivateKey(ReadFrom(pem).get(), nullptr, no_password, nullptr));
  if (key == nullptr) return OpenSslStatus("no private key in PEM without a password");
  return key;
}

absl::StatusOr<std::vector<CertificatePtr>> ReadCertificates(absl::string_view pem) {
  std::vector<CertificatePtr> certificates;
  const BioPtr in = ReadFrom(pem);
  while (X509* certificate = PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr)) {
    certificates.emplace_back(certificate);
  }
  // The last attempt finds the end, or what is damaged.
  const unsigned long last = ERR_peek_last_error();
  if (certificates.empty() || ERR_GET_REASON(last) != PEM_R_NO_START_LINE) {
    return OpenSslStatus("no certificates in PEM");
  }
  ERR_clear_error();
  return certificates;
}

absl::StatusOr<RequestPtr> MakeRequest(EVP_PKEY& key) {
  RequestPtr request(X509_REQ_new());
  if (X509_REQ_set_pubkey(request.get(), &key) != 1 ||
      X509_REQ_sign(request.get(), &key, EVP_sha256()) <= 0) {
    return OpenSslStatus("cannot make a request for a certificate");
  }
  return request;
}

absl::StatusOr<KeyPtr> KeyOfRequest(absl::string_view pem) {
  const RequestPtr request(PEM_read_bio_X509_REQ(ReadFrom(pem).get(), nullptr, nullptr, nullptr));
  if (request == nullptr) return OpenSslStatus("no request for a certificate");
  KeyPtr key(X509_REQ_get_pubkey(request.get()));
  if (key == nullptr || !IsP256(*key)) {
    return absl::InvalidArgumentError("the request's key is not of the curve P-256");
  }
  if (X509_REQ_verify(request.get(), key.get()) != 1) {
    return OpenSslStatus("the request is not signed by its own key");
  }
  return key;
}

absl::StatusOr<CertificatePtr> Sign(const Issue& issue, EVP_PKEY& key, X509* authority,
                                    EVP_PKEY& authority_key) {
  CertificatePtr certificate(X509_new());
  BIGNUM* serial = BN_new();
  const bool numbered =
      BN_rand(serial, kSerialBits, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
      BN_to_ASN1_INTEGER(serial, X509_get_serialNumber(certificate.get())) != nullptr;
  BN_free(serial);
  X509_NAME* subject = X509_get_subject_name(certificate.get());
  const std::string name = issue.common_name.substr(0, kMaxCommonName);
  const bool named =
      X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                                 reinterpret_cast<const unsigned char*>(name.data()),
                                 static_cast<int>(name.size()), /*loc=*/-1, /*set=*/0) == 1;
  ASN1_TIME_set(X509_getm_notBefore(certificate.get()), absl::ToTimeT(issue.not_before));
  ASN1_TIME_set(X509_getm_notAfter(certificate.get()), absl::ToTimeT(issue.not_after));
  X509_NAME* issuer = authority == nullptr ? subject : X509_get_subject_name(authority);
  if (!numbered || !named || X509_set_version(certificate.get(), kVersion3) != 1 ||
      X509_set_issuer_name(certificate.get(), issuer) != 1 ||
      X509_set_pubkey(certificate.get(), &key) != 1) {
    return OpenSslStatus("cannot make a certificate");
  }
  RETURN_IF_ERROR(AddExtensions(issue, authority, *certificate));
  if (X509_sign(certificate.get(), &authority_key, EVP_sha256()) <= 0) {
    return OpenSslStatus("cannot sign a certificate");
  }
  return certificate;
}

std::string Fingerprint(X509& certificate) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  if (X509_digest(&certificate, EVP_sha256(), digest, &size) != 1) return "";
  return absl::BytesToHexString(absl::string_view(reinterpret_cast<const char*>(digest), size));
}

std::string NormalFingerprint(absl::string_view text) {
  std::string normal;
  for (const char c : text) {
    if (c == ':') continue;
    if (absl::ascii_isxdigit(static_cast<unsigned char>(c)) == 0) return "";
    normal.push_back(absl::ascii_tolower(static_cast<unsigned char>(c)));
  }
  return normal.size() == 64 ? normal : "";
}

absl::Time NotBefore(X509& certificate) { return ToTime(X509_get0_notBefore(&certificate)); }
absl::Time NotAfter(X509& certificate) { return ToTime(X509_get0_notAfter(&certificate)); }

Names NamesOf(X509& certificate) {
  Names found;
  const NamesPtr names = AlternativeNames(certificate);
  for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type != GEN_URI && name->type != GEN_DNS) continue;
    const std::optional<std::string> text = Printable(name->d.ia5);
    if (!text.has_value()) {
      found.unreadable_uri |= name->type == GEN_URI;
      continue;
    }
    (name->type == GEN_URI ? found.uris : found.names).push_back(*text);
  }
  X509_NAME* subject = X509_get_subject_name(&certificate);
  const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, /*lastpos=*/-1);
  if (at >= 0) {
    const auto common_name = Printable(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
    found.common_name = common_name.value_or("");
  }
  if (found.names.empty() && !found.common_name.empty()) found.names = {found.common_name};
  return found;
}

std::vector<std::string> ServersOf(X509& certificate) {
  std::vector<std::string> servers;
  const NamesPtr names = AlternativeNames(certificate);
  for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type == GEN_DNS) {
      if (const auto text = Printable(name->d.ia5)) servers.push_back(*text);
    } else if (name->type == GEN_IPADD) {
      char text[INET6_ADDRSTRLEN] = {};
      const int family = ASN1_STRING_length(name->d.ip) == 4 ? AF_INET : AF_INET6;
      if (inet_ntop(family, ASN1_STRING_get0_data(name->d.ip), text, sizeof(text)) != nullptr) {
        servers.emplace_back(text);
      }
    }
  }
  return servers;
}

}  // namespace postern::tls
