// SPDX-License-Identifier: MIT
#include "net/tls_check.hpp"

#include <ctime>
#include <memory>
#include <string>

#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <boost/asio/ssl/context.hpp>

namespace lp::net {

namespace {

using checking = std::unique_ptr<X509_STORE_CTX, void (*)(X509_STORE_CTX*)>;

std::string text_of(const ASN1_TIME* when) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(when, &parts) != 1) return "an unknown time";
  return fmt::format("{:%Y-%m-%d %H:%M:%S} UTC", parts);
}

// A reason with the dates that an operator needs.
std::string reason(int code, X509* cert) {
  if (cert != nullptr && code == X509_V_ERR_CERT_HAS_EXPIRED) {
    return "it expired on " + text_of(X509_get0_notAfter(cert));
  }
  if (cert != nullptr && code == X509_V_ERR_CERT_NOT_YET_VALID) {
    return fmt::format("it is not valid before {}; is this host's clock right?",
                       text_of(X509_get0_notBefore(cert)));
  }
  return X509_verify_cert_error_string(code);
}

}  // namespace

result<void> check_certificate(const tls_files& files) {
  const auto loaded = load_tls(files);
  if (!loaded) return fail(loaded.error());
  SSL_CTX* const context = (*loaded)->native_handle();
  X509* const own = SSL_CTX_get0_certificate(context);
  STACK_OF(X509)* above = nullptr;
  SSL_CTX_get0_chain_certs(context, &above);
  // A node listens and connects.
  for (const int purpose : {X509_PURPOSE_SSL_SERVER, X509_PURPOSE_SSL_CLIENT}) {
    const checking check(X509_STORE_CTX_new(), X509_STORE_CTX_free);
    if (!check ||
        X509_STORE_CTX_init(check.get(), SSL_CTX_get_cert_store(context), own, above) != 1 ||
        X509_STORE_CTX_set_purpose(check.get(), purpose) != 1) {
      return fail(ec::internal, "OpenSSL cannot check certificates");
    }
    if (X509_verify_cert(check.get()) == 1) continue;
    X509* const wrong = X509_STORE_CTX_get_current_cert(check.get());
    const bool other = wrong != nullptr && X509_cmp(wrong, own) != 0;
    return fail(lp::ec::bad_config,
                fmt::format("other nodes refuse {}{} (authority {}): {}",
                            other ? "a certificate above " : "", files.certificate, files.authority,
                            reason(X509_STORE_CTX_get_error(check.get()), wrong)));
  }
  return {};
}

}  // namespace lp::net
