// SPDX-License-Identifier: MIT
#include "actors/network_backend.hpp"

#include <atomic>
#include <stdexcept>
#include <utility>

#include <caf/actor_registry.hpp>
#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/binary_deserializer.hpp>
#include <caf/io/basp_broker.hpp>
#include <caf/scheduler/abstract_coordinator.hpp>

#include "actors/network_servants.hpp"

namespace lp::actors {

namespace {

// Rounds of actors sending to each other before the sockets are looked at again.
constexpr int rounds = 16;
constexpr std::size_t messages_at_a_stretch = 300;

net::stream_options options_of(const caf::actor_system_config& c) {
  net::stream_options o;
  if (c.openssl_certificate.empty()) return o;
  auto tls = net::load_tls({c.openssl_certificate, c.openssl_key, c.openssl_cafile});
  if (!tls) throw std::runtime_error(tls.error().message);
  o.tls = std::move(*tls);
  return o;
}

}  // namespace

network_backend::network_backend(caf::actor_system* system)
    : multiplexer(system),
      options_(options_of(system->config())),
      throughput_(messages_at_a_stretch) {}

network_backend::~network_backend() {
  dirty_.clear();
  ready_.insert(ready_.end(), inbox_.begin(), inbox_.end());
  for (caf::resumable* r : ready_) {
    caf::scheduler::abstract_coordinator::cleanup_and_release(r);
  }
}

void network_backend::exec_later(caf::resumable* what) {
  switch (what->subtype()) {
    case caf::resumable::io_actor:
    case caf::resumable::function_object:
      break;
    default:
      return system().scheduler().enqueue(what);
  }
  if (loop_.owned_here()) {
    ready_.push_back(what);
    return;
  }
  const std::lock_guard lock(mutex_);
  inbox_.push_back(what);
  if (inbox_.size() > 1) return;  // it has been told of the first
  loop_.post([this] {
    const std::lock_guard taking(mutex_);
    ready_.insert(ready_.end(), inbox_.begin(), inbox_.end());
    inbox_.clear();
  });
}

// One by one: while an actor does long work, the deputy goes on with those that are left.
void network_backend::run_ready() {
  for (std::size_t left = ready_.size(); left > 0 && !ready_.empty(); --left) {
    caf::resumable* const r = ready_.front();
    ready_.pop_front();
    switch (r->resume(this, throughput_)) {
      case caf::resumable::resume_later:
        ready_.push_back(r);
        break;
      case caf::resumable::shutdown_execution_unit:
        break;
      default:
        caf::intrusive_ptr_release(r);
    }
  }
}

bool network_backend::turn() {
  for (int i = 0; i < rounds && !ready_.empty(); ++i) run_ready();
  // What the actors wrote in this turn goes out together.
  for (const caf::io::scribe_ptr& s : dirty_) static_cast<network_scribe&>(*s).send();
  dirty_.clear();
  return !ready_.empty();
}

caf::io::basp_broker& network_backend::basp() {
  if (basp_ == nullptr) {
    const auto handle = system().middleman().named_broker<caf::io::basp_broker>(caf::atom("BASP"));
    basp_ = static_cast<caf::io::basp_broker*>(caf::actor_cast<caf::abstract_actor*>(handle));
  }
  return *basp_;
}

void network_backend::write_message(const caf::strong_actor_ptr& from,
                                    const caf::strong_actor_ptr& to, const caf::message& what) {
  caf::io::basp_broker& broker = basp();
  if (broker.getf(caf::abstract_actor::is_terminated_flag)) return;
  system().registry().put(from->id(), from);  // answers find it there
  broker.instance.dispatch(this, from, {}, to->node(), to->id(), 0, caf::make_message_id(), what);
}

// What CAF's broker does with a head and, called again, with its body, for both at once.
std::size_t network_backend::take_message(caf::io::connection_handle from, std::string_view bytes) {
  namespace protocol = caf::io::basp;
  if (bytes.size() < protocol::header_size) return 0;
  caf::io::basp_broker& broker = basp();
  const auto peer = broker.ctx.find(from);
  if (peer == broker.ctx.end() || peer->second.cstate != protocol::await_header) return 0;
  protocol::header head{};
  caf::binary_deserializer source(this, bytes.data(), protocol::header_size);
  if (source(head) || !valid(head)) return 0;
  const std::size_t length = protocol::header_size + head.payload_len;
  if (head.operation != protocol::message_type::direct_message || head.payload_len == 0 ||
      bytes.size() < length) {
    return 0;
  }
  frame_.handle = from;
  frame_.buf.assign(bytes.begin() + protocol::header_size, bytes.begin() + length);
  broker.context(this);
  proxy_registry_ptr(broker.proxy_registry_ptr());
  broker.set_context(from);
  const auto next = broker.instance.handle(this, frame_, head, true);
  proxy_registry_ptr(nullptr);
  if (requires_shutdown(next)) {
    broker.connection_cleanup(from, to_sec(next));
    broker.close(from);
  }
  return length;
}

void send_to_node(caf::io::abstract_broker& from, const caf::strong_actor_ptr& to,
                  caf::message what) {
  static_cast<network_backend&>(from.backend())
      .write_message(caf::strong_actor_ptr{from.ctrl()}, to, what);
}

void network_backend::at_end_of_turn(caf::io::scribe_ptr scribe) {
  dirty_.push_back(std::move(scribe));
}

void network_backend::run() {
  loop_.run({[this] { return turn(); }, [this] { thread_id(std::this_thread::get_id()); }});
}

bool network_backend::try_run_once() {
  const bool any = loop_.run_once(false);
  return turn() || any;
}

void network_backend::run_once() {
  loop_.run_once(true);
  turn();
}

caf::io::network::multiplexer::supervisor_ptr network_backend::make_supervisor() {
  class running final : public supervisor {
   public:
    explicit running(net::event_loop& l) : loop_(l) {}
    ~running() override { loop_.release(); }

   private:
    net::event_loop& loop_;
  };
  return std::make_unique<running>(loop_);
}

caf::expected<caf::io::scribe_ptr> network_backend::new_tcp_scribe(const std::string& host,
                                                                   std::uint16_t port) {
  const auto scribe =
      caf::make_counted<network_scribe>(*this, net::make_stream(loop_, host, port, options_));
  scribe->start();
  return caf::io::scribe_ptr{scribe};
}

caf::expected<caf::io::doorman_ptr> network_backend::new_tcp_doorman(std::uint16_t port,
                                                                     const char* in, bool) {
  static std::atomic<std::int64_t> last{0};
  auto listener = net::listen(loop_, in == nullptr ? "0.0.0.0" : in, port, options_);
  if (!listener) return caf::make_error(caf::sec::cannot_open_port, listener.error().message);
  const auto handle = caf::io::accept_handle::from_int(++last);
  return caf::io::doorman_ptr{
      caf::make_counted<network_doorman>(*this, std::move(*listener), handle)};
}

// Nothing asks for what follows: sockets made elsewhere and datagrams.
caf::io::scribe_ptr network_backend::new_scribe(caf::io::network::native_socket) {
  throw std::logic_error("connections are made by the event loop");
}

caf::io::doorman_ptr network_backend::new_doorman(caf::io::network::native_socket) {
  throw std::logic_error("ports are opened by the event loop");
}

caf::io::datagram_servant_ptr network_backend::new_datagram_servant(
    caf::io::network::native_socket) {
  return nullptr;
}

caf::io::datagram_servant_ptr network_backend::new_datagram_servant_for_endpoint(
    caf::io::network::native_socket, const caf::io::network::ip_endpoint&) {
  return nullptr;
}

caf::expected<caf::io::datagram_servant_ptr> network_backend::new_remote_udp_endpoint(
    const std::string&, std::uint16_t) {
  return caf::sec::feature_disabled;
}

caf::expected<caf::io::datagram_servant_ptr> network_backend::new_local_udp_endpoint(std::uint16_t,
                                                                                     const char*,
                                                                                     bool) {
  return caf::sec::feature_disabled;
}

net::event_loop& network_loop(caf::actor_system& system) {
  return static_cast<network_backend&>(system.middleman().backend()).loop();
}

}  // namespace lp::actors
