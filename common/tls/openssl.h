// SPDX-License-Identifier: Apache-2.0
// OpenSSL's objects with one owner, and its errors as a status.
#ifndef POSTERN_COMMON_TLS_OPENSSL_H_
#define POSTERN_COMMON_TLS_OPENSSL_H_

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace postern::tls {

template <auto kFree>
struct Free {
  template <typename T>
  void operator()(T* object) const {
    kFree(object);
  }
};

using BioPtr = std::unique_ptr<BIO, Free<BIO_free_all>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;
using CertificatePtr = std::unique_ptr<X509, Free<X509_free>>;
using RequestPtr = std::unique_ptr<X509_REQ, Free<X509_REQ_free>>;
using NamesPtr = std::unique_ptr<GENERAL_NAMES, Free<GENERAL_NAMES_free>>;
using StorePtr = std::unique_ptr<X509_STORE, Free<X509_STORE_free>>;
using StoreContextPtr = std::unique_ptr<X509_STORE_CTX, Free<X509_STORE_CTX_free>>;
using ContextPtr = std::unique_ptr<SSL_CTX, Free<SSL_CTX_free>>;
using SslPtr = std::unique_ptr<SSL, Free<SSL_free>>;

// "WHAT: certificate verify failed", of the first error that is queued in this
// thread; empties the queue.
absl::Status OpenSslStatus(absl::string_view what);

// To read from; `text` outlives it.
BioPtr ReadFrom(absl::string_view text);
// What was written to a BIO in memory.
std::string Written(BIO* bio);

}  // namespace postern::tls

#endif  // POSTERN_COMMON_TLS_OPENSSL_H_
