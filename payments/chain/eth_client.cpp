// SPDX-License-Identifier: MIT
#include "payments/chain/eth_client.hpp"

#include <fmt/core.h>

namespace lp::payments {

namespace json = boost::json;

namespace {

tl::unexpected<rpc_failure> malformed(const error& e) {
  rpc_failure out;
  static_cast<error&>(out) = e;
  return tl::unexpected(std::move(out));
}

json::object to_json(const message_call& c) {
  json::object out;
  if (c.from) out["from"] = to_data(c.from->view());
  if (c.to) out["to"] = to_data(c.to->view());
  if (c.value != 0) out["value"] = to_quantity(c.value);
  // Older nodes know "data" alone, and newer ones take it too.
  out["data"] = to_data(c.data);
  return out;
}

result<address> read_address(const json::value& v, std::string_view what) {
  const auto bytes = read_data(v, what);
  if (!bytes) return fail(bytes.error());
  return from_bytes<address>(*bytes, what);
}

/// Reads members one after the other and keeps the first error.
class member_reader {
 public:
  explicit member_reader(const json::object& o) : object_(o) {}

  template <class T, class Read>
  void read(std::string_view key, T& into, Read how) {
    if (failure_) return;
    auto value = how(member(object_, key), key);
    if (value) {
      into = std::move(*value);
    } else {
      failure_ = std::move(value.error());
    }
  }
  const std::optional<error>& failure() const { return failure_; }

 private:
  const json::object& object_;
  std::optional<error> failure_;
};

result<block_head> read_head(const json::object& o) {
  block_head out;
  member_reader r(o);
  r.read("number", out.number, read_number);
  r.read("hash", out.hash, read_hash);
  r.read("parentHash", out.parent, read_hash);
  r.read("timestamp", out.time, read_number);
  if (o.contains("baseFeePerGas")) r.read("baseFeePerGas", out.base_fee, read_quantity);
  if (r.failure()) return fail(*r.failure());
  return out;
}

result<event_log> read_log(const json::value& v) {
  if (!v.is_object()) return fail(ec::bad_request, "the Ethereum node's log is no object");
  const json::object& o = v.get_object();
  event_log out;
  member_reader r(o);
  r.read("address", out.contract, read_address);
  r.read("data", out.data, read_data);
  r.read("blockNumber", out.block, read_number);
  r.read("blockHash", out.block_hash, read_hash);
  r.read("transactionHash", out.transaction, read_hash);
  r.read("logIndex", out.index, read_number);
  if (r.failure()) return fail(*r.failure());
  if (const json::value& topics = member(o, "topics"); topics.is_array()) {
    for (const json::value& t : topics.get_array()) {
      auto topic = read_hash(t, "topic");
      if (!topic) return fail(topic.error());
      out.topics.push_back(*topic);
    }
  }
  return out;
}

result<std::vector<event_log>> read_logs(const json::value& v) {
  if (!v.is_array()) return fail(ec::bad_request, "the Ethereum node's logs are no array");
  std::vector<event_log> out;
  for (const json::value& entry : v.get_array()) {
    auto one = read_log(entry);
    if (!one) return fail(one.error());
    out.push_back(std::move(*one));
  }
  return out;
}

result<mined_transaction> read_receipt(const json::object& o) {
  mined_transaction out;
  std::uint64_t status = 0;
  member_reader r(o);
  r.read("transactionHash", out.transaction, read_hash);
  r.read("status", status, read_number);
  r.read("blockNumber", out.block, read_number);
  r.read("blockHash", out.block_hash, read_hash);
  r.read("gasUsed", out.gas_used, read_number);
  r.read("effectiveGasPrice", out.gas_price, read_quantity);
  r.read("logs", out.logs, [](const json::value& v, std::string_view) { return read_logs(v); });
  if (member(o, "contractAddress").is_string()) {
    r.read("contractAddress", out.created.emplace(), read_address);
  }
  if (r.failure()) return fail(*r.failure());
  out.succeeded = status == 1;
  return out;
}

}  // namespace

result<json::value> eth_client::ask(std::string_view method, json::array params,
                                    time_point deadline) {
  auto answer = rpc_->call(method, std::move(params), deadline);
  if (answer) return std::move(*answer);
  return fail(static_cast<const error&>(answer.error()));
}

result<std::uint64_t> eth_client::chain_id(time_point deadline) {
  const auto answer = ask("eth_chainId", {}, deadline);
  if (!answer) return fail(answer.error());
  return read_number(*answer, "chain id");
}

result<std::uint64_t> eth_client::block_number(time_point deadline) {
  const auto answer = ask("eth_blockNumber", {}, deadline);
  if (!answer) return fail(answer.error());
  return read_number(*answer, "block number");
}

result<std::optional<block_head>> eth_client::head(json::value which, time_point deadline) {
  const auto answer = ask("eth_getBlockByNumber", {std::move(which), false}, deadline);
  if (!answer) return fail(answer.error());
  if (!answer->is_object()) return std::optional<block_head>();
  auto out = read_head(answer->get_object());
  if (!out) return fail(out.error());
  return std::optional<block_head>(*out);
}

result<block_head> eth_client::latest_block(time_point deadline) {
  const auto out = head("latest", deadline);
  if (!out) return fail(out.error());
  if (!*out) return fail(ec::unavailable, "the Ethereum node has no block yet");
  return **out;
}

result<std::optional<block_head>> eth_client::block(std::uint64_t number, time_point deadline) {
  return head(json::value(to_quantity(u256(number))), deadline);
}

result<u256> eth_client::balance(const address& of, time_point deadline) {
  const auto answer = ask("eth_getBalance", {to_data(of.view()), "latest"}, deadline);
  if (!answer) return fail(answer.error());
  return read_quantity(*answer, "balance");
}

result<std::uint64_t> eth_client::transaction_count(const address& of, bool pending,
                                                    time_point deadline) {
  const auto answer = ask("eth_getTransactionCount",
                          {to_data(of.view()), pending ? "pending" : "latest"}, deadline);
  if (!answer) return fail(answer.error());
  return read_number(*answer, "transaction count");
}

result<std::string> eth_client::code(const address& of, time_point deadline) {
  const auto answer = ask("eth_getCode", {to_data(of.view()), "latest"}, deadline);
  if (!answer) return fail(answer.error());
  return read_data(*answer, "code");
}

result<u256> eth_client::priority_fee(time_point deadline) {
  const auto answer = ask("eth_maxPriorityFeePerGas", {}, deadline);
  if (!answer) return fail(answer.error());
  return read_quantity(*answer, "priority fee");
}

rpc_result<std::string> eth_client::call(const message_call& c, time_point deadline,
                                         std::optional<std::uint64_t> at) {
  const json::value block = at ? json::value(to_quantity(u256(*at))) : json::value("latest");
  const auto answer = rpc_->call("eth_call", {to_json(c), block}, deadline);
  if (!answer) return tl::unexpected(answer.error());
  auto out = read_data(*answer, "call result");
  if (!out) return malformed(out.error());
  return std::move(*out);
}

rpc_result<std::uint64_t> eth_client::estimate_gas(const message_call& c, time_point deadline) {
  const auto answer = rpc_->call("eth_estimateGas", {to_json(c)}, deadline);
  if (!answer) return tl::unexpected(answer.error());
  const auto out = read_number(*answer, "gas estimate");
  if (!out) return malformed(out.error());
  return *out;
}

rpc_result<hash32> eth_client::send_raw(const std::string& raw, time_point deadline) {
  const auto answer = rpc_->call("eth_sendRawTransaction", {to_data(raw)}, deadline);
  if (!answer) return tl::unexpected(answer.error());
  const auto out = read_hash(*answer, "transaction hash");
  if (!out) return malformed(out.error());
  return *out;
}

result<std::optional<mined_transaction>> eth_client::transaction_receipt(const hash32& transaction,
                                                                         time_point deadline) {
  const auto answer = ask("eth_getTransactionReceipt", {to_data(transaction.view())}, deadline);
  if (!answer) return fail(answer.error());
  if (!answer->is_object()) return std::optional<mined_transaction>();
  auto out = read_receipt(answer->get_object());
  if (!out) return fail(out.error());
  return std::optional<mined_transaction>(std::move(*out));
}

result<bool> eth_client::knows_transaction(const hash32& transaction, time_point deadline) {
  const auto answer = ask("eth_getTransactionByHash", {to_data(transaction.view())}, deadline);
  if (!answer) return fail(answer.error());
  return answer->is_object();
}

result<std::vector<event_log>> eth_client::logs(const log_filter& filter, time_point deadline) {
  json::array any;
  for (const hash32& t : filter.topics) any.push_back(json::value(to_data(t.view())));
  json::object o{{"address", to_data(filter.contract.view())},
                 {"fromBlock", to_quantity(u256(filter.first))},
                 {"toBlock", to_quantity(u256(filter.last))}};
  if (!any.empty()) o["topics"] = json::array{std::move(any)};
  const auto answer = ask("eth_getLogs", {std::move(o)}, deadline);
  if (!answer) return fail(answer.error());
  return read_logs(*answer);
}

}  // namespace lp::payments
