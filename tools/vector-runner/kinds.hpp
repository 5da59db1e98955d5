// SPDX-License-Identifier: MIT
// What kinds of vectors there are and how each is computed here. A kind is the name of a member of
// the file; no vector is known by its own name.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json.hpp>

namespace lp::vectors {

namespace json = boost::json;

struct verdict {
  enum class state { passed, failed, todo } is = state::failed;
  std::string detail;
};

/// Compares as it goes and keeps the first difference. Members that are absent are not compared,
/// but a vector of which nothing was compared has failed.
class comparison {
 public:
  /// `expected`: the member with what should come out, or null where the vector lacks it.
  void text(std::string_view what, const json::value* expected, const std::string& got);
  /// Hexadecimal, in either case, with or without "0x".
  void hex(std::string_view what, const json::value* expected, const std::string& got_bytes);
  void flag(std::string_view what, const json::value* expected, bool got);
  void failure(std::string why);
  void todo(std::string why);
  verdict result() const;

 private:
  void same(std::string_view what, const std::string& expected, const std::string& got);

  int compared_ = 0;
  std::string problem_;
  std::string todo_;
};

/// Receives each vector's name and verdict.
using reporter = std::function<void(std::string name, verdict v)>;

/// Runs all vectors under one member of the file; false where the kind is not known.
bool run_kind(const std::string& kind, const json::value& vectors, const reporter& report);

// The kinds by topic; each computes one vector.
using runner = void (*)(const json::object& vector, comparison& c);
void run_ticket_hash(const json::object& vector, comparison& c);
void run_aux_data(const json::object& vector, comparison& c);
void run_win_probability(const json::object& vector, comparison& c);
void run_recipient_rand(const json::object& vector, comparison& c);
void run_recovery(const json::object& vector, comparison& c);
void run_auth_token(const json::object& vector, comparison& c);
void run_signed_address(const json::object& vector, comparison& c);
void run_signed_segment(const json::object& vector, comparison& c);
void run_wire(const json::object& vector, comparison& c);
/// A lottery shares its members among the tickets of its list.
void run_lottery(const std::string& kind, const json::object& lottery, const reporter& report);

}  // namespace lp::vectors
