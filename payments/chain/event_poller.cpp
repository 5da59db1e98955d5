// SPDX-License-Identifier: MIT
#include "payments/chain/event_poller.hpp"

#include <algorithm>

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

namespace lp::payments {

namespace json = boost::json;

std::string poll_position::to_text() const {
  json::array out;
  for (const seen_block& b : blocks) out.push_back(json::array{b.number, b.hash.hex()});
  return json::serialize(out);
}

result<poll_position> poll_position::from_text(const std::string& text) {
  const auto wrong = fail(ec::bad_file, "position of the event poller: malformed");
  json::error_code bad;
  const json::value parsed = json::parse(text, bad);
  if (bad || !parsed.is_array()) return wrong;
  poll_position out;
  for (const json::value& entry : parsed.get_array()) {
    if (!entry.is_array() || entry.get_array().size() != 2) return wrong;
    const json::value& number = entry.get_array()[0];
    const json::value& digits = entry.get_array()[1];
    if (!number.is_int64() || number.get_int64() < 0 || !digits.is_string()) return wrong;
    const auto hash = from_hex<hash32>(std::string_view(digits.get_string()), "block hash");
    const auto at = static_cast<std::uint64_t>(number.get_int64());
    if (!hash || (!out.blocks.empty() && out.blocks.back().number >= at)) return wrong;
    out.blocks.push_back({at, *hash});
  }
  return out;
}

// Takes off the blocks that are no longer the chain's; the first undone block, if there is one.
result<std::optional<std::uint64_t>> event_poller::rewind(poll_position& p, time_point deadline) {
  std::optional<std::uint64_t> undone;
  while (!p.blocks.empty()) {
    const auto now = chain_->block(p.blocks.back().number, deadline);
    if (!now) return fail(now.error());
    if (*now && (*now)->hash == p.blocks.back().hash) break;
    p.blocks.pop_back();
    undone = p.blocks.empty() ? options_.first_block : p.blocks.back().number + 1;
  }
  return undone;
}

result<poll_step> event_poller::poll(const poll_position& from, time_point deadline) {
  poll_step out;
  out.position = from;
  const auto undone = rewind(out.position, deadline);
  if (!undone) return fail(undone.error());
  out.undone_from = *undone;
  auto& blocks = out.position.blocks;
  const std::uint64_t first = blocks.empty() ? options_.first_block : blocks.back().number + 1;
  const auto head = chain_->block_number(deadline);
  if (!head) return fail(head.error());
  if (*head < first) return out;
  const std::uint64_t last = std::min(*head, first + options_.blocks_a_step - 1);
  auto events = chain_->logs({options_.contract, options_.topics, first, last}, deadline);
  if (!events) return fail(events.error());
  // Remembered are the range's last blocks; the older ones only where events came from.
  const std::uint64_t kept =
      last - first < options_.remembered ? first : last - options_.remembered + 1;
  for (std::uint64_t n = kept; n <= last; ++n) {
    const auto b = chain_->block(n, deadline);
    if (!b) return fail(b.error());
    const auto changed = fail(ec::unavailable, "the chain was reorganised while it was read");
    if (!*b || (n > kept && (*b)->parent != blocks.back().hash)) return changed;
    if (n == first && !blocks.empty() && (*b)->parent != blocks.back().hash) return changed;
    blocks.push_back({n, (*b)->hash});
    for (const event_log& e : *events) {
      if (e.block == n && e.block_hash != (*b)->hash) return changed;
    }
  }
  while (blocks.size() > options_.remembered) blocks.pop_front();
  out.events = std::move(*events);
  out.complete = last == *head;
  return out;
}

}  // namespace lp::payments
