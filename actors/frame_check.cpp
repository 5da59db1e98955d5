// SPDX-License-Identifier: MIT
#include "actors/frame_check.hpp"

#include <algorithm>
#include <optional>

#include <fmt/core.h>
#include <boost/endian/conversion.hpp>

namespace lp::actors {

namespace {

// CAF 0.17.6: basp/message_type.hpp and basp/version.hpp.
enum operation : std::uint8_t {
  op_server_handshake,
  op_client_handshake,
  op_direct_message,
  op_routed_message,
  op_monitor,
  op_down,
  op_heartbeat
};
constexpr std::uint64_t basp_version = 3;
constexpr std::uint8_t named_receiver = 1;
constexpr std::uint8_t select_connection = 2;
// message_id.hpp: a response, and the category of everything that our nodes send.
constexpr std::uint64_t response_flag = 1ULL << 63U;
constexpr std::uint64_t category_mask = 7ULL << 60U;
constexpr std::uint64_t normal_category = 1ULL << 60U;

// Far above any message of the protocol, whose files travel in chunks.
constexpr std::size_t longest_message = 512ULL << 20U;
// Ids, a handful of names; an error with its text.
constexpr std::size_t longest_control = 64ULL << 10U;
// Actors of one peer that are alive at one time: some for the node, one for each large file.
constexpr std::size_t most_actors = 65'536;
// A connecting node shows its id when it connects and again when it has the other's.
constexpr int most_handshakes = 2;

constexpr std::string_view node_kind("\x00\x00\x3e\x9a\xab\x9b\xac\x79", 8);  // atom("default")
constexpr std::string_view error_text = "@<>+@str";
constexpr std::string_view no_elements = "@<>";

tl::unexpected<error> refuse(std::string why) {
  return fail(ec::bad_request, std::move(why));
}

// Reads what CAF's binary serializer writes, and never beyond the end.
class reader {
 public:
  explicit reader(std::string_view bytes) : rest_(bytes) {}

  bool at_end() const { return rest_.empty(); }

  std::optional<std::string_view> take(std::size_t count) {
    if (rest_.size() < count) return std::nullopt;
    const std::string_view out = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return out;
  }
  std::optional<std::uint64_t> number() {
    const auto bytes = take(sizeof(std::uint64_t));
    if (!bytes) return std::nullopt;
    return boost::endian::load_big_u64(reinterpret_cast<const unsigned char*>(bytes->data()));
  }
  // Seven bits a byte, the lowest first, as in message_form.
  std::optional<std::size_t> size() {
    std::size_t out = 0;
    for (unsigned shift = 0; shift < 32; shift += 7) {
      const auto byte = take(1);
      if (!byte) return std::nullopt;
      const auto bits = static_cast<std::uint8_t>(byte->front());
      out |= static_cast<std::size_t>(bits & 0x7fU) << shift;
      if (bits < 0x80) return out;
    }
    return std::nullopt;
  }
  std::optional<std::string_view> text() {
    const auto count = size();
    if (!count) return std::nullopt;
    return take(*count);
  }
  // A process that CAF knows by its number; it could be a URI, too, which nothing of ours is.
  std::optional<std::string_view> node() {
    const auto bytes = take(node_id_size);
    if (!bytes || !bytes->starts_with(node_kind)) return std::nullopt;
    return bytes;
  }
  bool actor_of(std::string_view node_id) {
    const auto actor = number();
    const auto where = node();
    return actor.value_or(0) != 0 && where == node_id;
  }
  // What a message begins with: no number of a type, but names.
  std::optional<std::string_view> types() {
    const auto number_of_type = take(2);
    if (number_of_type != std::string_view("\0\0", 2)) return std::nullopt;
    return text();
  }
  // A code, its category, and nothing or a text.
  bool error() {
    if (!take(1) || !number()) return false;
    const auto inner = types();
    return inner && (*inner == no_elements || (*inner == error_text && text()));
  }

 private:
  std::string_view rest_;
};

// One element after the other, by the names of their types: "+@atom+lp::actors::hello".
bool read_elements(reader& in, const message_rule& rule, std::string_view peer) {
  std::string_view types = std::string_view(rule.types).substr(no_elements.size());
  for (int i = 0; !types.empty(); ++i) {
    types.remove_prefix(1);
    const std::string_view type = types.substr(0, types.find('+'));
    types.remove_prefix(type.size());
    if (type == "@atom") {
      if (in.number() != (i == 0 ? rule.atom : rule.second)) return false;
    } else if (type == "@str") {
      if (!in.text()) return false;
    } else if (type == "@strong_actor_ptr") {
      if (!in.actor_of(peer)) return false;
    } else if (type == "@error") {
      if (!in.error()) return false;
    } else {
      const auto bytes = in.text();
      if (!bytes || rule.body == nullptr || !rule.body(*bytes)) return false;
    }
  }
  return in.at_end();
}

}  // namespace

frame_head read_frame_head(std::string_view bytes) {
  const auto* const at = reinterpret_cast<const unsigned char*>(bytes.data());
  return {at[0],
          at[3],
          boost::endian::load_big_u32(at + 4),
          boost::endian::load_big_u64(at + 8),
          boost::endian::load_big_u64(at + 16),
          boost::endian::load_big_u64(at + 24)};
}

result<void> frame_check::check_head(const frame_head& h) const {
  const bool no_actors = h.source == 0 && h.destination == 0;
  bool good = false;
  std::size_t least = 1;
  std::size_t most = longest_control;
  switch (h.operation) {
    case op_server_handshake:
      good = side_ == side::dialled && h.flags == 0 && h.data == basp_version && no_actors;
      least = node_id_size;
      break;
    case op_client_handshake:
      good = side_ == side::accepted && (h.flags | select_connection) == select_connection &&
             h.data == 0 && no_actors;
      least = most = node_id_size;
      break;
    case op_direct_message:
      good = h.flags <= named_receiver && h.destination != 0 &&
             (h.data & category_mask) == normal_category;
      most = longest_message;
      break;
    case op_monitor:
      good = h.flags == 0 && h.data == 0 && h.source == 0 && h.destination != 0;
      least = most = 2 * node_id_size;
      break;
    case op_down:
      good = h.flags == 0 && h.data == 0 && h.source != 0 && h.destination == 0;
      least = 2 * node_id_size;
      break;
    case op_heartbeat:
      good = h.flags == 0 && h.data == 0 && no_actors;
      least = most = 0;
      break;
    case op_routed_message:  // our nodes speak for themselves alone
    default:
      break;
  }
  if (!good)
    return refuse(fmt::format("a frame of kind {} has a head that no node sends", h.operation));
  if (h.payload < least || h.payload > most) {
    return refuse(fmt::format("a frame of kind {} with {} bytes, expected {} to {}", h.operation,
                              h.payload, least, most));
  }
  return {};
}

std::string frame_check::guess(std::string_view begin) {
  if (begin.starts_with("HTTP/")) return "an HTTP server answers there: is the port right?";
  constexpr std::string_view tls_alert("\x15\x03", 2);
  constexpr std::string_view tls_greeting("\x16\x03", 2);
  if (begin.starts_with(tls_alert) || begin.starts_with(tls_greeting)) {
    return "it speaks TLS and this node does not: set [cluster.tls]";
  }
  return "it does not begin as a node does: is that the right port?";
}

result<std::size_t> frame_check::length(std::string_view begin) const {
  const frame_head h = read_frame_head(begin);
  const bool handshake = h.operation <= op_client_handshake;
  auto ok = check_head(h);
  if (!established_ && peer_.empty() && (!ok || !handshake)) return refuse(guess(begin));
  if (!ok) return fail(std::move(ok.error()));
  if ((!established_ || held_back_) && !handshake) {
    return refuse("a message came before the handshake was over");
  }
  if (handshake && handshakes_ >= most_handshakes) return refuse("it shakes hands again and again");
  return frame_head_size + h.payload;
}

result<frame_check::fate> frame_check::check(std::string_view frame) {
  const auto size = length(frame);
  if (!size) return fail(size.error());
  if (*size != frame.size()) return refuse("a frame is not as long as it says");
  const frame_head h = read_frame_head(frame);
  const std::string_view body = frame.substr(frame_head_size);
  switch (h.operation) {
    case op_server_handshake:
      return server_handshake(body);
    case op_client_handshake:
      return client_handshake(h, body);
    case op_direct_message:
      return message(h, body);
    case op_monitor:
      if (auto ok = monitor(body); !ok) return fail(std::move(ok.error()));
      return fate::pass;
    case op_down:
      if (auto ok = down(h, body); !ok) return fail(std::move(ok.error()));
      return fate::pass;
    default:
      return fate::pass;
  }
}

// Who it is, the applications it speaks, the actor that is published there, and its interface,
// which is empty for want of a check by CAF.
result<frame_check::fate> frame_check::server_handshake(std::string_view body) {
  if (handshakes_ > 0) return refuse("it shakes hands again");
  reader in(body);
  const auto node = in.node();
  const auto applications = in.size();
  if (!node || !applications) return refuse("its handshake is none");
  constexpr std::size_t most_applications = 16;
  if (*applications == 0 || *applications > most_applications) {
    return refuse("its handshake names no application or too many");
  }
  for (std::size_t i = 0; i < *applications; ++i) {
    if (!in.text()) return refuse("its handshake is cut short");
  }
  const auto published = in.number();
  const auto interface = in.size();
  if (!published || interface != 0U || !in.at_end()) return refuse("its handshake is none");
  if (*published == 0) return refuse("nothing of a node is published there");
  if (*node == rules_.own_node) return refuse("this node itself answers there");
  peer_ = *node;
  ++handshakes_;
  established_ = true;
  return fate::pass;
}

result<frame_check::fate> frame_check::client_handshake(const frame_head& h,
                                                        std::string_view body) {
  reader in(body);
  const auto node = in.node();
  if (!node) return refuse("its handshake is none");
  if (*node == rules_.own_node) return refuse("it shows this node's own id");
  if (!peer_.empty() && *node != peer_) return refuse("it shows two ids");
  if (handshakes_ == 0 && h.flags != 0) return refuse("its first handshake has flags");
  if (handshakes_ > 0 && h.flags != select_connection) return refuse("it shakes hands again");
  peer_ = *node;
  ++handshakes_;
  established_ = true;
  return fate::pass;
}

result<frame_check::fate> frame_check::message(const frame_head& h, std::string_view body) {
  reader in(body);
  if (in.size() != 0U) return refuse("a message takes a way through other actors");
  const auto types = in.types();
  if (!types) return refuse("a message has no types");
  const bool response = (h.data & response_flag) != 0;
  const bool named = (h.flags & named_receiver) != 0;
  const reader elements = in;
  for (const message_rule& rule : rules_.messages) {
    if (rule.types != *types || rule.response != response || rule.to_named != named) continue;
    reader r = elements;
    if (!read_elements(r, rule, peer_)) continue;
    if (rule.ignored) return fate::ignore;
    if (auto ok = speaks(h.source); !ok) return fail(std::move(ok.error()));
    return fate::pass;
  }
  return refuse(fmt::format("a message of {} is none that nodes send", types->substr(0, 100)));
}

result<void> frame_check::monitor(std::string_view body) const {
  reader in(body);
  if (in.node() != std::string_view(peer_) || in.node() != std::string_view(rules_.own_node)) {
    return refuse("it asks for others than itself");
  }
  return {};
}

result<void> frame_check::down(const frame_head& h, std::string_view body) {
  reader in(body);
  if (in.node() != std::string_view(peer_) || in.node() != std::string_view(rules_.own_node)) {
    return refuse("it speaks of others than its own actors");
  }
  if (!in.error() || !in.at_end()) return refuse("it gives no reason for an actor's end");
  actors_.erase(h.source);
  return {};
}

// CAF keeps a stand-in for every actor that ever sent anything, until that one's end is told.
result<void> frame_check::speaks(std::uint64_t actor) {
  if (actor == 0) return {};
  if (actors_.size() >= most_actors && actors_.count(actor) == 0) {
    return refuse(fmt::format("more than {} of its actors speak", most_actors));
  }
  actors_.insert(actor);
  return {};
}

}  // namespace lp::actors
