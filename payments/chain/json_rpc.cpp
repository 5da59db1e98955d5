// SPDX-License-Identifier: MIT
#include "payments/chain/json_rpc.hpp"

#include <algorithm>
#include <thread>

#include <fmt/core.h>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "payments/chain/abi.hpp"
#include "payments/chain/quantity.hpp"

namespace lp::payments {

namespace {

namespace json = boost::json;

rpc_failure no_answer(ec code, std::string message) {
  rpc_failure out;
  static_cast<error&>(out) = error{code, std::move(message), {}};
  return out;
}

std::string text_of(const json::object& o, std::string_view key) {
  const json::value* v = o.if_contains(key);
  if (!v || !v->is_string()) return {};
  std::string out(std::string_view(v->get_string()).substr(0, 500));
  // What a node said must not steer a terminal.
  std::replace_if(
      out.begin(), out.end(), [](char c) { return static_cast<unsigned char>(c) < ' '; }, ' ');
  return out;
}

// Nodes give a revert's data as a string, or one level down.
std::string revert_data_of(const json::object& failure) {
  const json::value* data = failure.if_contains("data");
  if (data && data->is_object()) data = data->get_object().if_contains("data");
  if (!data || !data->is_string()) return {};
  return hex_bytes(std::string_view(data->get_string())).value_or("");
}

rpc_failure refusal(const json::object& failure) {
  rpc_failure out;
  out.answered = true;
  if (const json::value* code = failure.if_contains("code"); code && code->is_int64()) {
    out.node_code = static_cast<int>(code->get_int64());
  }
  std::string message = text_of(failure, "message");
  out.revert_data = revert_data_of(failure);
  // 3 is what geth and its kin use for a revert; others tell in words alone.
  out.reverted = out.node_code == 3 || message.find("revert") != std::string::npos;
  if (out.reverted) {
    const std::string why = abi::revert_reason(out.revert_data);
    message = why.empty() ? message : fmt::format("the contract refuses: {}", why);
  }
  static_cast<error&>(out) =
      error{ec::bad_request, message.empty() ? "the node gave no reason" : message, {}};
  return out;
}

}  // namespace

json_rpc::json_rpc(std::shared_ptr<transport> t, rpc_options options)
    : transport_(std::move(t)), options_(std::move(options)) {}

rpc_result<json::value> json_rpc::ask(const std::string& url, const std::string& body,
                                      std::uint64_t id, time_point deadline) {
  const auto reply = transport_->post(url, body, deadline);
  if (!reply) return tl::unexpected(no_answer(reply.error().code, reply.error().message));
  json::error_code bad;
  const json::value parsed = json::parse(reply->body, bad);
  const json::object* o = bad || !parsed.is_object() ? nullptr : &parsed.get_object();
  // Some nodes send errors of JSON-RPC with a status of 4xx.
  const bool down = reply->status >= 500 || reply->status == 429;
  if (!o || down) {
    return tl::unexpected(no_answer(
        ec::unavailable, fmt::format("the Ethereum node answered with status {} and {}",
                                     reply->status, o ? text_of(*o, "message") : "no JSON")));
  }
  if (const json::value* failure = o->if_contains("error"); failure && failure->is_object()) {
    return tl::unexpected(refusal(failure->get_object()));
  }
  const json::value* given = o->if_contains("id");
  const json::value* result = o->if_contains("result");
  if (!result || !given || *given != id) {
    return tl::unexpected(
        no_answer(ec::unavailable, "the Ethereum node's answer is not the one that was asked for"));
  }
  return *result;
}

rpc_result<json::value> json_rpc::call(std::string_view method, json::array params,
                                       time_point deadline) {
  const std::uint64_t id = next_id_++;
  const std::string body = json::serialize(json::object{
      {"jsonrpc", "2.0"}, {"id", id}, {"method", method}, {"params", std::move(params)}});
  rpc_failure last = no_answer(ec::unavailable, "no Ethereum node is configured");
  milliseconds delay = options_.first_delay;
  const std::size_t count = options_.endpoints.size();
  for (unsigned attempt = 0; attempt < options_.attempts && count > 0; ++attempt) {
    if (attempt > 0) {
      if (remaining(deadline) <= delay) break;
      // The only wait that is no answer's: a node that was just down needs a moment.
      std::this_thread::sleep_for(delay);
      delay = std::min(delay * 2, options_.longest_delay);
    }
    const std::size_t chosen = preferred_ % count;
    const auto until = std::min(deadline, clock::now() + options_.attempt_timeout);
    auto answer = ask(options_.endpoints[chosen], body, id, until);
    if (answer || answer.error().answered) return answer;
    last = std::move(answer.error());
    preferred_ = (chosen + 1) % count;
  }
  last.message = fmt::format("{}: {}", method, last.message);
  return tl::unexpected(std::move(last));
}

}  // namespace lp::payments
