// SPDX-License-Identifier: MIT
#include "actors/network_backend.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <stdexcept>
#include <utility>

#include <fmt/core.h>
#include <boost/endian/conversion.hpp>
#include <caf/actor_registry.hpp>
#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/binary_deserializer.hpp>
#include <caf/io/basp_broker.hpp>
#include <caf/scheduler/abstract_coordinator.hpp>

#include "actors/frame_rules.hpp"
#include "actors/network_servants.hpp"
#include "actors/protocol.hpp"

namespace lp::actors {

namespace {

// Rounds of actors sending to each other before the sockets are looked at again.
constexpr int rounds = 16;
constexpr std::size_t messages_at_a_stretch = 300;
// Of frames that have not arrived whole, all connections together; no frame is longer.
constexpr std::size_t most_unfinished = (512ULL << 20U) + 4096;
// Heartbeats come every second.
constexpr std::chrono::seconds longest_silence{3};
// Above this a body takes CAF's own way.
constexpr std::size_t longest_body = 1 << 24;

// BASP's head: the operation, two bytes of nothing, the flags, then numbers, the highest byte
// first.
constexpr std::size_t length_at = 4;
constexpr std::size_t data_at = 8;
constexpr std::size_t source_at = 16;
constexpr std::size_t destination_at = 24;

caf::io::basp::header to_caf(const frame_head& h) {
  return {static_cast<caf::io::basp::message_type>(h.operation),
          h.flags,
          h.payload,
          h.data,
          h.source,
          h.destination};
}

void write_head(std::vector<char>& out, const caf::io::basp::header& h) {
  unsigned char at[caf::io::basp::header_size] = {static_cast<unsigned char>(h.operation), 0, 0,
                                                  h.flags};
  boost::endian::store_big_u32(at + length_at, h.payload_len);
  boost::endian::store_big_u64(at + data_at, h.operation_data);
  boost::endian::store_big_u64(at + source_at, h.source_actor);
  boost::endian::store_big_u64(at + destination_at, h.dest_actor);
  out.insert(out.end(), std::begin(at), std::end(at));
}

net::stream_options options_of(const caf::actor_system_config& c) {
  net::stream_options o;
  if (c.openssl_certificate.empty()) return o;
  auto tls = net::load_tls({c.openssl_certificate, c.openssl_key, c.openssl_cafile});
  if (!tls) throw std::runtime_error(tls.error().message);
  o.tls = std::move(*tls);
  return o;
}

void end_connection(caf::io::basp_broker& broker, caf::io::connection_handle which) {
  broker.connection_cleanup(which, caf::sec::none);
  broker.close(which);
}

}  // namespace

network_backend::network_backend(caf::actor_system* system)
    : multiplexer(system),
      options_(options_of(system->config())),
      forms_{message_form::of<run_atom, wire::JobRequest>(*system),
             message_form::of<done_atom, wire::JobResult>(*system),
             message_form::of<failed_atom, wire::JobFailure>(*system)},
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

// So that answers find it. The actors of this thread are few and live long.
void network_backend::make_known(const caf::strong_actor_ptr& who) {
  if (std::find(known_.begin(), known_.end(), who->id()) != known_.end()) return;
  known_.push_back(who->id());
  system().registry().put(who->id(), who);
}

void network_backend::write_message(const caf::strong_actor_ptr& from,
                                    const caf::strong_actor_ptr& to, const caf::message& what) {
  caf::io::basp_broker& broker = basp();
  if (broker.getf(caf::abstract_actor::is_terminated_flag)) return;
  make_known(from);
  broker.instance.dispatch(this, from, {}, to->node(), to->id(), 0, caf::make_message_id(), what);
}

bool network_backend::write_body(const caf::strong_actor_ptr& from, const caf::strong_actor_ptr& to,
                                 caf::atom_value what, const google::protobuf::Message& value) {
  namespace protocol = caf::io::basp;
  const auto form = std::find_if(forms_.begin(), forms_.end(),
                                 [&](const message_form& f) { return f.is(what, value); });
  if (form == forms_.end()) return false;
  caf::io::basp_broker& broker = basp();
  if (broker.getf(caf::abstract_actor::is_terminated_flag)) return false;
  const auto way = broker.instance.lookup(to->node());
  const std::size_t size = value.ByteSizeLong();
  if (!way || way->next_hop != to->node() || size > longest_body) return false;
  make_known(from);
  protocol::header head(protocol::message_type::direct_message, 0,
                        static_cast<std::uint32_t>(form->payload_size(size)),
                        caf::make_message_id().integer_value(), from->id(), to->id());
  std::vector<char>& out = broker.get_buffer(way->hdl);
  write_head(out, head);
  form->write(out, value, size);
  broker.flush(way->hdl);
  return true;
}

const frame_rules& network_backend::rules() {
  if (rules_.messages.empty()) rules_ = rules_of(system());
  return rules_;
}

bool network_backend::hold(std::size_t bytes) {
  if (unfinished_ + bytes > most_unfinished) return false;
  unfinished_ += bytes;
  return true;
}

// What CAF's instance does with a message, in short. The order of messages holds because CAF's own
// way has no threads either (middleman.workers is 0).
bool network_backend::take_known(caf::io::connection_handle from, const frame_head& head,
                                 std::string_view body) {
  if (head.flags != 0 || head.data != caf::make_message_id().integer_value()) return false;
  for (const message_form& form : forms_) {
    const auto bytes = form.body_of(body);
    if (!bytes) continue;
    caf::io::basp_broker& broker = basp();
    const auto peer = broker.ctx.find(from);
    if (peer == broker.ctx.end()) return true;
    peer->second.last_seen = broker.clock().now();  // what heartbeats look at
    caf::node_id node = broker.instance.tbl().lookup_direct(from);
    broker.set_last_hop(&node);
    auto sender = broker.instance.proxies().get_or_put(node, head.source);
    broker.set_last_hop(nullptr);
    auto element = form.make(std::move(sender), *bytes);
    if (!element) return false;
    if (const auto to = system().registry().get(head.destination)) {
      to->enqueue(std::move(element), this);
    }
    return true;
  }
  return false;
}

// What CAF's broker does with a head and, called again, with its body, for both at once.
void network_backend::take_message(caf::io::connection_handle from, const frame_head& head,
                                   std::string_view body) {
  caf::io::basp_broker& broker = basp();
  const auto peer = broker.ctx.find(from);
  if (peer == broker.ctx.end()) return;
  broker.context(this);
  broker.this_context = &peer->second;
  broker.this_context->last_seen = broker.clock().now();
  frame_.handle = from;
  frame_.buf.assign(body.begin(), body.end());
  caf::io::basp::header h = to_caf(head);
  proxy_registry_ptr(broker.proxy_registry_ptr());
  const auto next = broker.instance.handle(this, frame_, h, true);
  proxy_registry_ptr(nullptr);
  if (requires_shutdown(next)) {
    broker.connection_cleanup(from, to_sec(next));
    broker.close(from);
  }
}

bool network_backend::may_be(caf::io::connection_handle who, const std::string& node) {
  caf::node_id id;
  caf::binary_deserializer source(system(), node.data(), node.size());
  if (source(id)) return false;
  caf::io::basp_broker& broker = basp();
  const auto other = broker.instance.tbl().lookup_direct(id);
  if (!other || *other == who) return true;
  const auto context = broker.ctx.find(*other);
  const bool silent = context == broker.ctx.end() ||
                      context->second.last_seen + longest_silence < broker.clock().now();
  if (!silent) return false;
  broker.context(this);
  end_connection(broker, *other);
  return true;
}

// CAF takes a connection for silent since ever until it has heard something, and ends it with the
// next heartbeat, however young it is.
void network_backend::begins(caf::io::connection_handle which) {
  post([this, which] {
    caf::io::basp_broker& broker = basp();
    const auto context = broker.ctx.find(which);
    if (context != broker.ctx.end()) context->second.last_seen = broker.clock().now();
  });
}

std::string network_backend::address_of(const caf::node_id& node) {
  caf::io::basp_broker& broker = basp();
  const auto way = broker.instance.tbl().lookup_direct(node);
  if (!way) return {};
  return fmt::format("{}:{}", broker.remote_addr(*way), broker.remote_port(*way));
}

void network_backend::disconnect(const caf::node_id& node) {
  post([this, node] {
    caf::io::basp_broker& broker = basp();
    if (broker.getf(caf::abstract_actor::is_terminated_flag)) return;
    broker.context(this);
    if (const auto way = broker.instance.tbl().lookup_direct(node)) end_connection(broker, *way);
  });
}

void network_backend::note_failure(const std::string& address, const std::string& why) {
  const std::lock_guard lock(failures_mutex_);
  failures_[address] = why;
}

std::string network_backend::failure(const std::string& address) {
  const std::lock_guard lock(failures_mutex_);
  const auto found = failures_.find(address);
  return found == failures_.end() ? std::string() : found->second;
}

bool send_body_to_node(caf::io::abstract_broker& from, const caf::strong_actor_ptr& to,
                       caf::atom_value what, const google::protobuf::Message& value) {
  return static_cast<network_backend&>(from.backend())
      .write_body(caf::strong_actor_ptr{from.ctrl()}, to, what, value);
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
  const auto scribe = caf::make_counted<network_scribe>(
      *this, net::make_stream(loop_, host, port, options_), fmt::format("{}:{}", host, port));
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

namespace {

network_backend& backend_of(caf::actor_system& system) {
  return static_cast<network_backend&>(system.middleman().backend());
}

}  // namespace

void disconnect(caf::actor_system& system, const caf::node_id& node) {
  backend_of(system).disconnect(node);
}

std::string address_of(caf::actor_system& system, const caf::node_id& node) {
  return backend_of(system).address_of(node);
}

std::string connect_failure(caf::actor_system& system, const std::string& address) {
  return backend_of(system).failure(address);
}

net::event_loop& network_loop(caf::actor_system& system) {
  return backend_of(system).loop();
}

}  // namespace lp::actors
