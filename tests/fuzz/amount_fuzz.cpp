// SPDX-License-Identifier: MIT
// Amounts as strangers write them in requests. Whatever is read must be read again from its own
// text, and whatever is refused must be refused with a message that can be sent back.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "payments/amount.hpp"
#include "payments/price_list.hpp"
#include "runtime/base/bytes.hpp"

namespace {

using namespace lp;

void expect(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

void check_money(std::string_view text) {
  const auto given = payments::parse_money(text);
  if (!given) {
    expect(given.error().message.size() < 400, "a refusal is too long");
    expect(is_utf8(given.error().message), "a refusal is no text");
    expect(!payments::parse_wei(text, "x"), "no amount, and yet wei");
    return;
  }
  expect(given->amount >= 0, "a negative amount");
  // A value of 80 digits and an exponent is written as a fraction of more than 80.
  const std::string exact = given->amount.str();
  if (exact.size() <= 80) {
    for (const char* between : {"", " ", "\t  "}) {
      const auto again = payments::parse_money(exact + between + given->currency + " ");
      expect(again && again->amount == given->amount && again->currency == given->currency,
             "an amount is not read again from its own text");
    }
  }
  const auto rate = payments::fixed_feed({}).wei_per(given->currency);
  const auto wei = payments::parse_wei(text, "x");
  expect(!wei || (rate && payments::rational(payments::integer(*wei)) == given->amount * *rate),
         "wei and money differ");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  check_money({reinterpret_cast<const char*>(data), size});
  return 0;
}
