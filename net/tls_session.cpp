// SPDX-License-Identifier: MIT
#include "net/tls_session.hpp"

#include <cerrno>
#include <cstdint>
#include <cstring>

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>

#include <fmt/core.h>

namespace lp::net {

namespace {

struct freeing {
  void operator()(SSL_CTX* c) const { SSL_CTX_free(c); }
  void operator()(SSL* s) const { SSL_free(s); }
};

std::string reason() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  if (code == 0) return "the connection broke";
  const char* text = ERR_reason_error_string(code);
  return text ? text : "TLS failed";
}

int fd_of(BIO* bio) {
  return static_cast<int>(reinterpret_cast<std::intptr_t>(BIO_get_data(bio)));
}

int report(BIO* bio, ssize_t moved, int retry) {
  BIO_clear_retry_flags(bio);
  if (moved < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_flags(bio, retry);
  return static_cast<int>(moved);
}

// As OpenSSL's own for sockets, which lets a broken connection raise SIGPIPE.
BIO_METHOD* quiet_socket() {
  static BIO_METHOD* const method = [] {
    BIO_METHOD* m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "quiet socket");
    BIO_meth_set_write(m, [](BIO* bio, const char* data, int size) {
      const auto count = static_cast<std::size_t>(size);
      return report(bio, ::send(fd_of(bio), data, count, MSG_NOSIGNAL),
                    BIO_FLAGS_WRITE | BIO_FLAGS_SHOULD_RETRY);
    });
    BIO_meth_set_read(m, [](BIO* bio, char* data, int size) {
      const ssize_t got = ::recv(fd_of(bio), data, static_cast<std::size_t>(size), 0);
      return report(bio, got, BIO_FLAGS_READ | BIO_FLAGS_SHOULD_RETRY);
    });
    BIO_meth_set_ctrl(
        m, [](BIO*, int command, long, void*) -> long { return command == BIO_CTRL_FLUSH; });
    return m;
  }();
  return method;
}

BIO* socket_bio(int fd) {
  BIO* const bio = BIO_new(quiet_socket());
  if (!bio) return nullptr;
  BIO_set_data(bio, reinterpret_cast<void*>(static_cast<std::intptr_t>(fd)));
  BIO_set_init(bio, 1);
  return bio;
}

// Waits for what OpenSSL waits for, or tells why it failed for good.
result<void> wait_or_fail(SSL* ssl, int fd, int outcome, const char* doing, time_point deadline) {
  switch (SSL_get_error(ssl, outcome)) {
    case SSL_ERROR_WANT_READ:
      return wait_for(fd, POLLIN, deadline);
    case SSL_ERROR_WANT_WRITE:
      return wait_for(fd, POLLOUT, deadline);
    default:
      return fail(ec::unavailable, fmt::format("TLS {}: {}", doing, reason()));
  }
}

bool is_address(const std::string& host) {
  unsigned char bytes[16];
  return ::inet_pton(AF_INET, host.c_str(), bytes) == 1 ||
         ::inet_pton(AF_INET6, host.c_str(), bytes) == 1;
}

bool expect_host(SSL* ssl, const std::string& host) {
  if (is_address(host)) {
    return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host.c_str()) == 1;
  }
  SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  return SSL_set1_host(ssl, host.c_str()) == 1 && SSL_set_tlsext_host_name(ssl, host.c_str()) == 1;
}

}  // namespace

result<void> wait_for(int fd, short events, time_point deadline) {
  pollfd p{fd, events, 0};
  for (;;) {
    const int ready = ::poll(&p, 1, static_cast<int>(remaining(deadline).count()));
    if (ready > 0) return {};
    if (ready == 0) return fail(ec::deadline_exceeded, "the server took too long");
    if (errno != EINTR) return fail(ec::unavailable, fmt::format("poll: {}", std::strerror(errno)));
  }
}

struct tls_session::parts {
  std::unique_ptr<SSL_CTX, freeing> context;
  std::unique_ptr<SSL, freeing> ssl;
  int fd = -1;
};

tls_session::tls_session(std::unique_ptr<parts> p) : parts_(std::move(p)) {}
tls_session::~tls_session() = default;

result<std::unique_ptr<tls_session>> tls_session::open(int fd, const std::string& host,
                                                       const tls_options& options,
                                                       time_point deadline) {
  auto p = std::make_unique<parts>();
  p->fd = fd;
  p->context.reset(SSL_CTX_new(TLS_client_method()));
  SSL_CTX* const context = p->context.get();
  if (!context) return fail(ec::internal, "TLS: no context");
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  // Only whole records count as an end, except for servers that never say goodbye: HTTP tells by
  // its lengths whether an answer is complete.
  SSL_CTX_set_options(context, SSL_OP_IGNORE_UNEXPECTED_EOF);
  const bool trusted =
      options.authority.empty()
          ? SSL_CTX_set_default_verify_paths(context) == 1
          : SSL_CTX_load_verify_locations(context, options.authority.c_str(), nullptr) == 1;
  if (!trusted) {
    return fail(ec::bad_config,
                fmt::format("TLS authority {}: expected a PEM file with certificates ({})",
                            options.authority, reason()));
  }
  p->ssl.reset(SSL_new(context));
  SSL* const ssl = p->ssl.get();
  BIO* const bio = socket_bio(fd);
  if (!ssl || !bio || !expect_host(ssl, host)) {
    BIO_free(bio);
    return fail(ec::internal, fmt::format("TLS to {}: {}", host, reason()));
  }
  SSL_set_bio(ssl, bio, bio);
  for (;;) {
    const int outcome = SSL_connect(ssl);
    if (outcome == 1) return std::unique_ptr<tls_session>(new tls_session(std::move(p)));
    if (const long verdict = SSL_get_verify_result(ssl); verdict != X509_V_OK) {
      ERR_clear_error();
      return fail(ec::unavailable, fmt::format("TLS to {}: its certificate: {}", host,
                                               X509_verify_cert_error_string(verdict)));
    }
    auto waited = wait_or_fail(ssl, fd, outcome, "handshake", deadline);
    if (!waited) return fail(std::move(waited.error()));
  }
}

result<std::size_t> tls_session::write(const char* data, std::size_t size, time_point deadline) {
  for (;;) {
    std::size_t taken = 0;
    const int outcome = SSL_write_ex(parts_->ssl.get(), data, size, &taken);
    if (outcome == 1) return taken;
    auto waited = wait_or_fail(parts_->ssl.get(), parts_->fd, outcome, "write", deadline);
    if (!waited) return fail(std::move(waited.error()));
  }
}

result<std::size_t> tls_session::read(char* data, std::size_t size, time_point deadline) {
  for (;;) {
    std::size_t got = 0;
    const int outcome = SSL_read_ex(parts_->ssl.get(), data, size, &got);
    if (outcome == 1) return got;
    if (SSL_get_error(parts_->ssl.get(), outcome) == SSL_ERROR_ZERO_RETURN) return std::size_t{0};
    auto waited = wait_or_fail(parts_->ssl.get(), parts_->fd, outcome, "read", deadline);
    if (!waited) return fail(std::move(waited.error()));
  }
}

void tls_session::finish_sending() {
  SSL_shutdown(parts_->ssl.get());
  ERR_clear_error();
}

}  // namespace lp::net
