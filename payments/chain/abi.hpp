// SPDX-License-Identifier: MIT
// Contract calls: what goes into them and what comes out (Solidity's contract ABI specification).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "payments/address.hpp"
#include "payments/fixed_bytes.hpp"
#include "payments/u256.hpp"

namespace lp::payments::abi {

/// An argument. Dynamic ones (bytes, arrays, tuples that hold any) are placed behind the others.
class value {
 public:
  value(const u256& number);                      // NOLINT(google-explicit-constructor)
  value(const address& a);                        // NOLINT(google-explicit-constructor)
  value(const hash32& h);                         // NOLINT(google-explicit-constructor)
  static value of_bytes(std::string_view bytes);  ///< bytes and string
  static value of_tuple(const std::vector<value>& members);
  static value of_array(const std::vector<value>& items);  ///< T[]

  bool dynamic() const { return dynamic_; }
  const std::string& encoded() const { return encoded_; }

 private:
  value(bool dynamic, std::string encoded) : dynamic_(dynamic), encoded_(std::move(encoded)) {}

  bool dynamic_ = false;
  std::string encoded_;
};

/// The arguments as a tuple's members: heads first, then what is dynamic.
std::string encode(const std::vector<value>& arguments);

/// The four bytes that select "name(type,type)".
std::string selector(std::string_view signature);

/// selector() and encode().
std::string call(std::string_view signature, const std::vector<value>& arguments);

/// The first topic of an event.
hash32 topic(std::string_view event_signature);

/// What a call returned, read word by word. Words beyond the end are errors, not zeros.
class reader {
 public:
  /// `data` must outlive the reader; `what` names the call in errors.
  reader(std::string_view data, std::string_view what) : data_(data), what_(what) {}

  std::size_t words() const { return data_.size() / 32; }
  result<hash32> word(std::size_t index) const;
  result<u256> number(std::size_t index) const;
  /// ec::bad_request for numbers of 2^64 and above.
  result<std::uint64_t> small_number(std::size_t index) const;
  result<address> account(std::size_t index) const;
  result<bool> boolean(std::size_t index) const;
  /// bytes or string whose place is in the word of that index.
  result<std::string> bytes(std::size_t index) const;

 private:
  std::string_view data_;
  std::string_view what_;
};

/// The text of `revert("...")`, or what panicked; empty for anything else.
std::string revert_reason(std::string_view data);

}  // namespace lp::payments::abi
