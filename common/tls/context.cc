// SPDX-License-Identifier: Apache-2.0
#include "common/tls/context.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <sys/stat.h>

#include <cerrno>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/small_file.h"
#include "common/status.h"
#include "common/tls/certificate.h"

namespace postern::tls {
namespace {

constexpr size_t kMaxFileBytes = size_t{1} << 20;
// ALPN of HTTP/2, behind its length (RFC 7301, 3.1).
constexpr unsigned char kHttp2[] = {2, 'h', '2'};

absl::Status Named(const std::string& path, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(path, ": ", status.message()));
}

absl::StatusOr<std::string> Read(const std::string& path) {
  absl::StatusOr<std::string> text = ReadSmallFile(path, kMaxFileBytes, Links::kFollow);
  if (!text.ok()) return Named(path, text.status());
  return text;
}

absl::StatusOr<std::vector<CertificatePtr>> ReadCertificateFile(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, Read(path));
  absl::StatusOr<std::vector<CertificatePtr>> certificates = ReadCertificates(text);
  if (!certificates.ok()) return Named(path, certificates.status());
  return certificates;
}

int SelectHttp2(SSL*, const unsigned char** chosen, unsigned char* chosen_bytes,
                const unsigned char* offered, unsigned int offered_bytes, void*) {
  unsigned char* found = nullptr;
  if (SSL_select_next_proto(&found, chosen_bytes, kHttp2, sizeof(kHttp2), offered, offered_bytes) !=
      OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  *chosen = found;
  return SSL_TLSEXT_ERR_OK;
}

absl::StatusOr<ContextPtr> MakeContext(const SSL_METHOD* method) {
  ContextPtr context(SSL_CTX_new(method));
  if (context == nullptr || SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION) != 1) {
    return OpenSslStatus("cannot speak TLS 1.3");
  }
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context.get(), 0);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE |
                                      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                      SSL_MODE_RELEASE_BUFFERS);
  return context;
}

absl::Status Show(const Credentials& credentials, SSL_CTX* context) {
  if (SSL_CTX_use_certificate(context, credentials.chain.front().get()) != 1 ||
      SSL_CTX_use_PrivateKey(context, credentials.key.get()) != 1) {
    return OpenSslStatus("the certificate cannot be used");
  }
  for (size_t i = 1; i < credentials.chain.size(); ++i) {
    SSL_CTX_add1_chain_cert(context, credentials.chain[i].get());
  }
  X509_STORE* store = SSL_CTX_get_cert_store(context);
  for (const CertificatePtr& authority : credentials.authorities) {
    X509_STORE_add_cert(store, authority.get());
  }
  return absl::OkStatus();
}

absl::Status Heed(const std::string& crl, SSL_CTX* context) {
  X509_STORE* store = SSL_CTX_get_cert_store(context);
  X509_LOOKUP* lookup = X509_STORE_add_lookup(store, X509_LOOKUP_file());
  if (X509_load_crl_file(lookup, crl.c_str(), X509_FILETYPE_PEM) < 1) {
    return OpenSslStatus(absl::StrCat(crl, ": no list of revoked certificates in PEM"));
  }
  X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);
  return absl::OkStatus();
}

// `data` is the fingerprint. Believes the one certificate that has it, among those
// that the peer sent, and then checks as ever.
int VerifyPinned(X509_STORE_CTX* check, void* data) {
  const std::string& pin = *static_cast<const std::string*>(data);
  STACK_OF(X509)* sent = X509_STORE_CTX_get0_untrusted(check);
  for (int i = 0; i < sk_X509_num(sent); ++i) {
    X509* certificate = sk_X509_value(sent, i);
    if (Fingerprint(*certificate) != pin) continue;
    STACK_OF(X509)* trusted = sk_X509_new_null();
    sk_X509_push(trusted, certificate);
    X509_STORE_CTX_set0_trusted_stack(check, trusted);
    const int verified = X509_verify_cert(check);
    // It was only lent.
    X509_STORE_CTX_set0_trusted_stack(check, nullptr);
    sk_X509_free(trusted);
    return verified;
  }
  X509_STORE_CTX_set_error(check, X509_V_ERR_CERT_UNTRUSTED);
  return 0;
}

void FreePin(void*, void* pin, CRYPTO_EX_DATA*, int, long, void*) {
  delete static_cast<std::string*>(pin);
}

}  // namespace

absl::StatusOr<KeyPtr> ReadKeyFile(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, Read(path));
  struct stat status = {};
  if (stat(path.c_str(), &status) != 0) return ErrnoStatus(errno, path);
  if ((status.st_mode & S_IROTH) != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": a private key that everybody may read; chmod 0600 it"));
  }
  absl::StatusOr<KeyPtr> key = ReadKey(text);
  if (!key.ok()) return Named(path, key.status());
  return key;
}

std::string StampOf(const Files& files) {
  std::string stamp;
  for (const std::string* path : {&files.ca, &files.cert, &files.key, &files.crl}) {
    struct stat status = {};
    if (path->empty() || stat(path->c_str(), &status) != 0) {
      absl::StrAppend(&stamp, "-;");
      continue;
    }
    absl::StrAppend(&stamp, status.st_ino, ".", status.st_size, ".", status.st_mtim.tv_sec, ".",
                    status.st_mtim.tv_nsec, ";");
  }
  return stamp;
}

absl::StatusOr<absl::Time> ExpiryOf(const std::string& path) {
  ASSIGN_OR_RETURN(const std::vector<CertificatePtr> certificates, ReadCertificateFile(path));
  return NotAfter(*certificates.front());
}

absl::StatusOr<Credentials> LoadCredentials(const Files& files) {
  Credentials credentials;
  ASSIGN_OR_RETURN(credentials.authorities, ReadCertificateFile(files.ca));
  ASSIGN_OR_RETURN(credentials.chain, ReadCertificateFile(files.cert));
  ASSIGN_OR_RETURN(credentials.key, ReadKeyFile(files.key));
  if (X509_check_private_key(credentials.chain.front().get(), credentials.key.get()) != 1) {
    ERR_clear_error();
    return absl::InvalidArgumentError(
        absl::StrCat(files.key, ": is not the key of the certificate in ", files.cert));
  }
  return credentials;
}

absl::StatusOr<ContextPtr> MakeServerContext(const Credentials& credentials, bool strangers,
                                             const std::string& crl) {
  ASSIGN_OR_RETURN(ContextPtr context, MakeContext(TLS_server_method()));
  RETURN_IF_ERROR(Show(credentials, context.get()));
  if (strangers) {
    // They know the CA by its fingerprint, and have to be shown it.
    for (const CertificatePtr& authority : credentials.authorities) {
      SSL_CTX_add1_chain_cert(context.get(), authority.get());
    }
  }
  if (!crl.empty()) RETURN_IF_ERROR(Heed(crl, context.get()));
  SSL_CTX_set_verify(context.get(),
                     SSL_VERIFY_PEER | (strangers ? 0 : SSL_VERIFY_FAIL_IF_NO_PEER_CERT),
                     /*callback=*/nullptr);
  SSL_CTX_set_alpn_select_cb(context.get(), SelectHttp2, nullptr);
  return context;
}

absl::StatusOr<ContextPtr> MakeClientContext(const Credentials& credentials) {
  ASSIGN_OR_RETURN(ContextPtr context, MakeContext(TLS_client_method()));
  RETURN_IF_ERROR(Show(credentials, context.get()));
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, /*callback=*/nullptr);
  SSL_CTX_set_alpn_protos(context.get(), kHttp2, sizeof(kHttp2));
  return context;
}

absl::StatusOr<ContextPtr> MakePinnedContext(const std::string& ca_fingerprint) {
  ASSIGN_OR_RETURN(ContextPtr context, MakeContext(TLS_client_method()));
  static const int index =
      SSL_CTX_get_ex_new_index(0, nullptr, /*new_func=*/nullptr, /*dup_func=*/nullptr, FreePin);
  auto* pin = new std::string(ca_fingerprint);
  SSL_CTX_set_ex_data(context.get(), index, pin);
  SSL_CTX_set_cert_verify_callback(context.get(), VerifyPinned, pin);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, /*callback=*/nullptr);
  SSL_CTX_set_alpn_protos(context.get(), kHttp2, sizeof(kHttp2));
  return context;
}

absl::Status ExpectServer(SSL& ssl, const std::string& server) {
  X509_VERIFY_PARAM* expected = SSL_get0_param(&ssl);
  unsigned char bytes[16];
  const bool address = inet_pton(AF_INET, server.c_str(), bytes) == 1 ||
                       inet_pton(AF_INET6, server.c_str(), bytes) == 1;
  const int set = address ? X509_VERIFY_PARAM_set1_ip_asc(expected, server.c_str())
                          : X509_VERIFY_PARAM_set1_host(expected, server.c_str(), server.size());
  // RFC 6066, 3: the name that is asked for is never an address.
  if (set != 1 || (!address && SSL_set_tlsext_host_name(&ssl, server.c_str()) != 1)) {
    return OpenSslStatus(absl::StrCat("'", server, "' is no name of a server"));
  }
  return absl::OkStatus();
}

absl::Status HandshakeFailure(SSL& ssl, const std::string& peer) {
  const unsigned long error = ERR_get_error();
  ERR_clear_error();
  const auto denied = [&](absl::string_view why) {
    return absl::PermissionDeniedError(absl::StrCat(peer, why));
  };
  switch (const long verified = SSL_get_verify_result(&ssl)) {
    case X509_V_OK:
      break;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return denied(
          " shows a certificate for another name: use the name that it is for, or give it one "
          "for this name");
    case X509_V_ERR_CERT_UNTRUSTED:
      return denied(" shows no certificate of the CA with this fingerprint: check address and pin");
    default:
      return denied(absl::StrCat(" shows a certificate that is not believed: ",
                                 X509_verify_cert_error_string(verified)));
  }
  switch (ERR_GET_LIB(error) == ERR_LIB_SSL ? ERR_GET_REASON(error) : 0) {
    case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
      return denied(
          " has revoked this certificate: an agent enrols again with a new token, an operator "
          "needs a new certificate");
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
      return denied(
          " says that this certificate has expired: an agent enrols again with a new token, an "
          "operator needs a new certificate");
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
      return denied(" does not believe the CA of this certificate");
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
      return denied(" wants a certificate");
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
      return denied(" does not take this certificate for a client's of now");
    case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
      return denied(" lets the bearer of this certificate do nothing: its log says why");
    case SSL_R_UNEXPECTED_EOF_WHILE_READING:
    case 0:
      return absl::UnavailableError(absl::StrCat(
          peer, " closed the connection: it has too many, or is no postern-collector"));
    default: {
      const char* reason = ERR_reason_error_string(error);
      return absl::UnavailableError(
          absl::StrCat(peer, " does not speak TLS 1.3 with us: ", reason == nullptr ? "" : reason));
    }
  }
}

}  // namespace postern::tls
