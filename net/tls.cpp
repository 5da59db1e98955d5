// SPDX-License-Identifier: MIT
#include "net/tls.hpp"

#include <fmt/format.h>
#include <boost/asio/ssl/context.hpp>

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

}  // namespace lp::net
