// SPDX-License-Identifier: MIT
#include "net/wire/lp_rpc.hpp"

#include <algorithm>
#include <optional>

#include <fmt/core.h>

namespace lp::wire {

namespace {

tl::unexpected<error> wrong(const std::string& field, const std::string& what) {
  return fail(ec::bad_request, fmt::format("{}: {}", field, what));
}

// Reads one message; the first mistake is kept and later fields are left as they are.
class fields {
 public:
  explicit fields(std::string path) : path_(std::move(path)) {}

  template <std::size_t N>
  void fixed(const std::string& bytes, const char* name, std::array<std::uint8_t, N>& out) {
    auto value = fixed_bytes<N>(bytes, at(name));
    if (value) {
      out = *value;
    } else {
      keep(value.error());
    }
  }

  // A leading zero would be a second way to write the same integer.
  void integer(const std::string& bytes, const char* name, std::size_t most, word& out) {
    if (bytes.size() > most) {
      return keep(
          wrong(at(name), fmt::format("expected at most {} bytes, not {}", most, bytes.size()))
              .value());
    }
    if (!bytes.empty() && bytes.front() == '\0') {
      return keep(wrong(at(name), "expected an integer without leading zeros").value());
    }
    out.fill(0);
    std::copy(bytes.begin(), bytes.end(), out.end() - static_cast<std::ptrdiff_t>(bytes.size()));
  }

  void integer(const std::string& bytes, const char* name, std::uint64_t& out) {
    word wide{};
    integer(bytes, name, sizeof out, wide);
    out = 0;
    for (const std::uint8_t byte : wide) out = out << 8 | byte;
  }

  void at_least(std::int64_t value, std::int64_t least, const char* name) {
    if (value >= least) return;
    keep(wrong(at(name), fmt::format("expected at least {}, not {}", least, value)).value());
  }

  void present(bool is, const char* name) {
    if (!is) keep(wrong(at(name), "is missing").value());
  }

  void require(bool holds, const char* name, const std::string& what) {
    if (!holds) keep(wrong(at(name), what).value());
  }

  void keep(error e) {
    if (!error_) error_ = std::move(e);
  }

  std::string at(const std::string& name) const { return path_ + "." + name; }
  bool good() const { return !error_.has_value(); }
  tl::unexpected<error> problem() const { return fail(*error_); }

 private:
  std::string path_;
  std::optional<error> error_;
};

void read_expiration(fields& f, const rpc::TicketExpirationParams& e, ticket_terms_value& out) {
  f.at_least(e.creation_round(), 0, "expiration_params.creation_round");
  out.creation_round = static_cast<std::uint64_t>(std::max<std::int64_t>(e.creation_round(), 0));
  out.creation_round_block_hash = {};
  // Both are zero where no chain is used, and zero is not written.
  if (e.creation_round_block_hash().empty()) return;
  f.fixed(e.creation_round_block_hash(), "expiration_params.creation_round_block_hash",
          out.creation_round_block_hash);
}

ticket_terms_value read_terms(fields& f, const rpc::TicketParams& p) {
  ticket_terms_value out;
  f.fixed(p.recipient(), "recipient", out.recipient);
  f.integer(p.face_value(), "face_value", out.face_value.size(), out.face_value);
  f.integer(p.win_prob(), "win_prob", out.win_prob.size(), out.win_prob);
  f.fixed(p.recipient_rand_hash(), "recipient_rand_hash", out.recipient_rand_hash);
  f.integer(p.seed(), "seed", out.seed.size(), out.seed);
  f.integer(p.expiration_block(), "expiration_block", out.expiration_block);
  return out;
}

price_value read_price(fields& f, const rpc::PriceInfo& p, std::int64_t least) {
  f.at_least(p.priceperunit(), least, "pricePerUnit");
  f.at_least(p.pixelsperunit(), 1, "pixelsPerUnit");
  f.require(p.constraint().size() <= 512, "constraint", "expected at most 512 bytes");
  return {p.priceperunit(), p.pixelsperunit(), p.capability(), p.constraint()};
}

std::string text(const word& w) {
  return {w.begin(), w.end()};
}

rpc::TicketParams write_terms(const ticket_terms_value& t) {
  rpc::TicketParams out;
  out.set_recipient(std::string(t.recipient.begin(), t.recipient.end()));
  out.set_face_value(minimal_bytes(t.face_value));
  out.set_win_prob(minimal_bytes(t.win_prob));
  out.set_recipient_rand_hash(text(t.recipient_rand_hash));
  out.set_seed(minimal_bytes(t.seed));
  word block{};
  std::uint64_t rest = t.expiration_block;
  for (auto byte = block.rbegin(); rest != 0; ++byte, rest >>= 8) {
    *byte = static_cast<std::uint8_t>(rest);
  }
  out.set_expiration_block(minimal_bytes(block));
  return out;
}

void write_expiration(const ticket_terms_value& t, rpc::TicketExpirationParams& out) {
  out.set_creation_round(static_cast<std::int64_t>(t.creation_round));
  out.set_creation_round_block_hash(text(t.creation_round_block_hash));
}

rpc::PriceInfo write_price(const price_value& p) {
  rpc::PriceInfo out;
  out.set_priceperunit(p.wei);
  out.set_pixelsperunit(p.units);
  out.set_capability(p.capability);
  out.set_constraint(p.model);
  return out;
}

}  // namespace

template <std::size_t N>
result<std::array<std::uint8_t, N>> fixed_bytes(const std::string& bytes,
                                                const std::string& field) {
  if (bytes.size() != N) {
    return wrong(field, fmt::format("expected {} bytes, not {}", N, bytes.size()));
  }
  std::array<std::uint8_t, N> out{};
  std::copy(bytes.begin(), bytes.end(), out.begin());
  return out;
}

template result<std::array<std::uint8_t, 20>> fixed_bytes<20>(const std::string&,
                                                              const std::string&);
template result<std::array<std::uint8_t, 32>> fixed_bytes<32>(const std::string&,
                                                              const std::string&);
template result<std::array<std::uint8_t, 65>> fixed_bytes<65>(const std::string&,
                                                              const std::string&);

std::string minimal_bytes(const word& w) {
  return {std::find_if(w.begin(), w.end(), [](std::uint8_t b) { return b != 0; }), w.end()};
}

result<payment_value> read_payment(const rpc::Payment& p) {
  fields outer("payment");
  outer.present(p.has_ticket_params(), "ticket_params");
  outer.present(p.has_expected_price(), "expected_price");
  outer.require(!p.ticket_params().has_expiration_params(), "ticket_params.expiration_params",
                "expected in payment.expiration_params only");
  outer.require(p.ticket_sender_params_size() <= most_tickets, "ticket_sender_params",
                fmt::format("expected at most {} tickets, not {}", most_tickets,
                            p.ticket_sender_params_size()));
  if (!outer.good()) return outer.problem();
  payment_value out;
  outer.fixed(p.sender(), "sender", out.sender);
  fields params("payment.ticket_params");
  out.terms = read_terms(params, p.ticket_params());
  if (!params.good()) return params.problem();
  read_expiration(outer, p.expiration_params(), out.terms);
  fields price("payment.expected_price");
  out.price = read_price(price, p.expected_price(), 1);
  if (!price.good()) return price.problem();
  out.tickets.reserve(static_cast<std::size_t>(p.ticket_sender_params_size()));
  for (int i = 0; outer.good() && i < p.ticket_sender_params_size(); ++i) {
    const rpc::TicketSenderParams& from = p.ticket_sender_params(i);
    ticket_value& to = out.tickets.emplace_back();
    to.sender_nonce = from.sender_nonce();
    outer.fixed(from.sig(), fmt::format("ticket_sender_params[{}].sig", i).c_str(), to.signature);
  }
  if (!outer.good()) return outer.problem();
  return out;
}

result<info_value> read_info(const rpc::OrchestratorInfo& i) {
  fields outer("info");
  outer.present(i.has_price_info(), "price_info");
  outer.require(i.transcoder().size() <= 512, "transcoder", "expected at most 512 bytes");
  if (!outer.good()) return outer.problem();
  info_value out;
  out.uri = i.transcoder();
  outer.fixed(i.address(), "address", out.address);
  if (!outer.good()) return outer.problem();
  fields price("info.price_info");
  out.price = read_price(price, i.price_info(), 0);
  if (!price.good()) return price.problem();
  if (out.price.wei == 0) return out;
  outer.present(i.has_ticket_params(), "ticket_params");
  if (!outer.good()) return outer.problem();
  fields params("info.ticket_params");
  out.terms = read_terms(params, i.ticket_params());
  read_expiration(params, i.ticket_params().expiration_params(), out.terms);
  if (!params.good()) return params.problem();
  return out;
}

rpc::Payment write_payment(const payment_value& p) {
  rpc::Payment out;
  *out.mutable_ticket_params() = write_terms(p.terms);
  out.set_sender(std::string(p.sender.begin(), p.sender.end()));
  write_expiration(p.terms, *out.mutable_expiration_params());
  for (const ticket_value& t : p.tickets) {
    rpc::TicketSenderParams& to = *out.add_ticket_sender_params();
    to.set_sender_nonce(t.sender_nonce);
    to.set_sig(std::string(t.signature.begin(), t.signature.end()));
  }
  *out.mutable_expected_price() = write_price(p.price);
  return out;
}

rpc::OrchestratorInfo write_info(const info_value& i) {
  rpc::OrchestratorInfo out;
  out.set_transcoder(i.uri);
  out.set_address(std::string(i.address.begin(), i.address.end()));
  *out.mutable_price_info() = write_price(i.price);
  if (i.price.wei == 0) return out;
  *out.mutable_ticket_params() = write_terms(i.terms);
  write_expiration(i.terms, *out.mutable_ticket_params()->mutable_expiration_params());
  return out;
}

}  // namespace lp::wire
