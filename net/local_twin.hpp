// SPDX-License-Identifier: MIT
// Inside byte_stream: the Unix-domain socket that stands in for TCP between nodes of one host. It
// carries a message for half of what TCP's loopback takes.
//
// A listener on a loopback address listens on an abstract name made from the address and the port,
// too; who connects to that address tries the name first and falls back to TCP. Like the loopback
// interface, abstract names belong to a network namespace, so that either both lead to the same
// host or neither does.
//
// Whoever holds the name without holding the port (which is bound first) is no listener of ours. A
// connection therefore counts only if the kernel names the listener's user as our own or as root:
// both could as well trace this process. Others gain nothing by taking a name; TCP serves as if
// there were none. Who may connect is as with the loopback port: every user of this host.
#pragma once

#include <optional>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>

namespace lp::net {

using local_endpoint = boost::asio::local::stream_protocol::endpoint;

/// The name that goes with a loopback address; none for any other.
std::optional<local_endpoint> local_twin(const boost::asio::ip::tcp::endpoint& where);

/// A non-blocking descriptor, listening or connected at once; -1 if that cannot be, or if the other
/// side is another user's. The caller's to close.
int listen_locally(const local_endpoint& name);
int connect_locally(const local_endpoint& name);

}  // namespace lp::net
