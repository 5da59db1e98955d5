// SPDX-License-Identifier: MIT
#include "net/tls.hpp"

#include <fmt/format.h>
#include <openssl/err.h>

#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/error.hpp>

namespace lp::net {

namespace ssl = boost::asio::ssl;
using boost::system::error_code;

result<tls_context> load_tls(const tls_files& files) {
  auto out = std::make_shared<ssl::context>(ssl::context::tls);
  error_code ec;
  const auto failed = [&](const char* what, const std::string& file) {
    return fail(lp::ec::bad_config,
                fmt::format("cannot use the {} {}: {}", what, file, ec.message()));
  };
  out->set_options(ssl::context::default_workarounds | ssl::context::no_sslv2 |
                   ssl::context::no_sslv3 | ssl::context::no_tlsv1 | ssl::context::no_tlsv1_1);
  if (SSL_CTX_set_cipher_list(out->native_handle(), "HIGH:!aNULL:!MD5") != 1) {
    return fail(lp::ec::internal, "OpenSSL knows no cipher of the wanted strength");
  }
  out->use_certificate_chain_file(files.certificate, ec);
  if (ec) return failed("certificate", files.certificate);
  out->use_private_key_file(files.key, ssl::context::pem, ec);
  if (ec) return failed("private key", files.key);
  out->load_verify_file(files.authority, ec);
  if (ec) return failed("certificate authority", files.authority);
  out->set_verify_mode(ssl::verify_peer | ssl::verify_fail_if_no_peer_cert);
  return out;
}

namespace {

// Of the alerts and errors that a mistake in the configuration leads to.
const char* meaning_of(int reason) {
  switch (reason) {
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
      return "it shows no certificate: set [cluster.tls] there";
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_UNKNOWN_PROTOCOL:
    case SSL_R_HTTP_REQUEST:
    case SSL_R_PACKET_LENGTH_TOO_LONG:
      return "it speaks no TLS: is the port right, and [cluster.tls] set there?";
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
      return "it does not know the authority that signed this node's certificate: both sides need "
             "the same authority in [cluster.tls]";
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
      return "it says that this node's certificate has expired or is not valid yet: renew it, or "
             "put the clocks right";
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
      return "it refuses this node's certificate";
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
      return "it wants a certificate of this node's: set [cluster.tls]";
    default:
      return nullptr;
  }
}

}  // namespace

std::string tls_failure(const SSL& ssl, const error_code& ec) {
  if (const long verdict = SSL_get_verify_result(&ssl); verdict != X509_V_OK) {
    return fmt::format(
        "its certificate is refused: {}; expected one that the authority in [cluster.tls] signed "
        "and that is valid now",
        X509_verify_cert_error_string(verdict));
  }
  if (ec.category() == boost::asio::error::get_ssl_category()) {
    const char* known = meaning_of(ERR_GET_REASON(static_cast<unsigned long>(ec.value())));
    if (known != nullptr) return known;
    return fmt::format("TLS: {}", ec.message());
  }
  return fmt::format("TLS: the other side ended the connection ({})", ec.message());
}

}  // namespace lp::net
