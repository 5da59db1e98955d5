// SPDX-License-Identifier: MIT
// Inside byte_stream: a connection over TCP, with TLS on top where asked for, or over its local
// twin.
#pragma once

#include <optional>

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>

#include "net/byte_stream.hpp"

namespace lp::net {

class socket_stream final : public byte_stream, public std::enable_shared_from_this<socket_stream> {
 public:
  using tcp = boost::asio::ip::tcp;
  using generic = boost::asio::generic::stream_protocol;
  using error_code = boost::system::error_code;

  /// To be connected to `host`.
  socket_stream(boost::asio::io_context& io, const stream_options& options, std::string host,
                std::uint16_t port);
  /// Accepted. `remote` is who connected.
  socket_stream(boost::asio::io_context& io, const stream_options& options, generic::socket socket,
                const tcp::endpoint& remote);

  /// For the listener: does the server's part of the handshake, then calls `opened` with "", or
  /// with why that failed or that it took too long.
  void open_accepted(std::function<void(const std::string& failure)> opened);
  /// For the listener: gives up on a handshake.
  void abandon() { fail("too many handshakes are under way"); }

  void start(std::shared_ptr<observer> o) override;
  bool write(std::vector<char>& bytes) override;
  void read(bool wanted) override;
  void close(std::vector<char> last) override;
  std::string address() const override { return remote_.address().to_string(); }
  std::uint16_t port() const override { return remote_.port(); }

 private:
  enum class state { fresh, opening, open, closing, closed };

  void connect();
  void connect_to(const tcp::resolver::results_type& found);
  bool connect_locally(const tcp::endpoint& where);
  void on_connected(const error_code& ec);
  void handshake(boost::asio::ssl::stream_base::handshake_type role);
  void on_open();
  void receive();
  void on_received(const error_code& ec, std::size_t count);
  void send_rest(std::size_t from);
  void on_sent(const error_code& ec);
  void expect_within(milliseconds limit, const char* what);
  void prepare_socket();
  void fail(const std::string& why);
  void fail_later(const std::string& why);
  void forget_room();
  void shut();

  boost::asio::io_context& io_;
  const stream_options options_;
  generic::socket socket_;
  std::optional<boost::asio::ssl::stream<generic::socket&>> tls_;
  boost::asio::steady_timer timer_;
  std::string host_;
  std::uint16_t port_ = 0;
  tcp::endpoint remote_;

  state state_ = state::fresh;
  std::shared_ptr<observer> observer_;
  std::function<void(const std::string&)> opened_;  ///< of an accepted stream
  std::vector<char> in_;
  std::vector<char> out_;   ///< being sent
  std::vector<char> last_;  ///< to be sent after it, before closing
  bool local_ = false;      ///< over a Unix socket
  bool read_wanted_ = true;
  bool receiving_ = false;
  bool sending_ = false;
  bool heard_ = false;  ///< anything from the other side
};

}  // namespace lp::net
