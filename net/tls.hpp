// SPDX-License-Identifier: MIT
// Mutual TLS between the nodes of one cluster.
#pragma once

#include <memory>
#include <string>

#include <openssl/ssl.h>

#include <boost/system/error_code.hpp>

#include "runtime/base/error.hpp"

namespace boost::asio::ssl {
class context;
}

namespace lp::net {

/// Paths of PEM files. All three are needed.
struct tls_files {
  std::string certificate;  ///< this node's, with the chain above it
  std::string key;          ///< the certificate's private key
  std::string authority;    ///< who must have signed the other side's certificate
};

using tls_context = std::shared_ptr<boost::asio::ssl::context>;

/// TLS 1.2 or later. Either side must show a certificate that the authority signed; host names are
/// not compared, membership of the cluster is what counts. ec::bad_config names the file that
/// cannot be used.
result<tls_context> load_tls(const tls_files& files);

/// What is wrong with a connection of such a context, for a person: which side does not like which
/// certificate and what to do, or that one side speaks no TLS.
std::string tls_failure(const SSL& ssl, const boost::system::error_code& ec);

}  // namespace lp::net
