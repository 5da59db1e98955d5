// SPDX-License-Identifier: MIT
// Bytes of clients as requests: head, framing, compressed bodies, forms and JSON. Whatever arrives
// and in whatever pieces, nothing crashes, limits hold, and the pieces make no difference.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include <boost/json/value.hpp>

#include "net/http_parser.hpp"
#include "net/json_body.hpp"
#include "net/multipart.hpp"

namespace {

using namespace lp::net;

constexpr std::size_t header_limit = 2048;
constexpr std::size_t body_limit = 128 * 1024;

void expect(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

struct outcome {
  unsigned status = 0;  ///< of a refusal; 200: a request; 0: more is needed
  request taken;
};

// Feeds as a connection does: `step` bytes more at a time, what was not taken stays.
outcome read(std::string_view all, std::size_t step, const std::shared_ptr<body_budget>& budget) {
  request_parser parser(header_limit, body_limit, budget);
  std::string in;
  while (!parser.done() && !parser.failure()) {
    const std::size_t used = parser.feed(in);
    expect(used <= in.size(), "more was taken than was there");
    in.erase(0, used);
    if (used > 0) continue;
    if (all.empty()) return {};
    const std::string_view next = all.substr(0, step);
    in.append(next);
    all.remove_prefix(next.size());
  }
  if (parser.failure()) return {parser.failure()->status, {}};
  return {200, parser.take()};
}

void check_form(std::string_view type, std::string_view body) {
  const auto parts = parse_form(type, body);
  if (!parts) return;
  for (const form_part& p : *parts) {
    expect(p.offset + p.size <= body.size(), "a part lies outside of its form");
    expect(!p.name.empty(), "a part has no name");
  }
}

void check_request(std::string_view bytes) {
  const auto budget = std::make_shared<body_budget>(body_limit);
  {
    const outcome whole = read(bytes, bytes.size() + 1, budget);
    const outcome pieces = read(bytes, 7, budget);
    expect((whole.status == 200) == (pieces.status == 200), "pieces of a request are another one");
    if (whole.status == 0 || whole.status != 200) return;
    expect(whole.taken.body == pieces.taken.body, "the body depends on its pieces");
    expect(whole.taken.path == pieces.taken.path, "the path depends on its pieces");
    expect(whole.taken.body.size() <= body_limit, "a body is over its limit");
    check_form(whole.taken.header_value("Content-Type"), whole.taken.body);
    (void)parse_json_body(whole.taken);
  }
  expect(budget->used() == 0, "a body that is gone still counts");
}

void check_decoder(std::string_view bytes, coding how) {
  body_decoder decoder(how);
  std::size_t made = 0;
  const auto ok = decoder.feed(bytes, [&](std::string_view part) {
    made += part.size();
    return made <= body_limit;
  });
  if (ok) (void)decoder.finish();
  expect(made <= body_limit + 16 * 1024, "the decoder goes on when it was told to stop");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  check_request(bytes);
  check_form("multipart/form-data; boundary=b", bytes);
  (void)parse_json(bytes);
  check_decoder(bytes, coding::gzip);
  check_decoder(bytes, coding::deflate);
  return 0;
}
