// SPDX-License-Identifier: MIT
// Bytes from the network as payments: read, converted and checked by a recipient. Nothing that
// arrives may crash it, and nothing that it did not offer may be worth anything.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "actors/payment_values.hpp"
#include "payments/recipient.hpp"

namespace {

using namespace lp;

// The recipient of the seed, so that inputs come past the first comparison.
const payments::recipient& recipient() {
  static const payments::recipient it(
      *payments::parse_address("0x70997970C51812dc3A010C7d01b50e0d17dc79C8", "recipient"),
      payments::hash32{}, {});
  return it;
}

void expect(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

// What was read must be written again as the same values.
void round_trip(const wire::payment_value& value) {
  const auto again = wire::read_payment(wire::write_payment(value));
  expect(again.has_value(), "a payment that was read is refused when written again");
  expect(again->tickets.size() == value.tickets.size(), "tickets were lost");
  expect(again->terms.seed == value.terms.seed, "the seed changed");
  expect(again->price.wei == value.price.wei, "the price changed");
}

void check_payment(std::string_view bytes) {
  rpc::Payment message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return;
  const auto value = wire::read_payment(message);
  if (!value) return;
  round_trip(*value);
  const payments::payment p = actors::to_payment(*value);
  const auto checked = recipient().check(p, "scope", payments::offchain_view(1'800'000'000), {});
  expect(!checked, "a payment for parameters that were never offered was accepted");
}

void check_info(std::string_view bytes) {
  rpc::OrchestratorInfo message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return;
  const auto value = wire::read_info(message);
  if (!value) return;
  const auto price = actors::to_price(value->price);
  expect(price.wei_per_unit >= 0, "a negative price was taken");
  (void)payments::expected_value(actors::to_params(value->terms));
}

}  // namespace

// The first byte chooses the message.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] % 2 == 0) {
    check_payment(bytes);
  } else {
    check_info(bytes);
  }
  return 0;
}
