// SPDX-License-Identifier: MIT
// The short way of writing messages against CAF's own.
#include "actors/message_form.hpp"

#include <gtest/gtest.h>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/binary_serializer.hpp>

#include "actors/protocol.hpp"

namespace lp::actors {
namespace {

struct settings : caf::actor_system_config {
  settings() { add_message_types<caf::id_block::lp_actors>(); }
};

class message_form_test : public testing::Test {
 protected:
  std::string by_caf(const caf::message& what) {
    std::vector<char> out;
    caf::binary_serializer sink(system, out);
    std::vector<caf::strong_actor_ptr> passed_on;
    EXPECT_FALSE(sink(passed_on, what));
    return {out.begin(), out.end()};
  }
  std::string by_form(const wire::JobRequest& r) const {
    std::vector<char> out;
    form.write(out, r, r.ByteSizeLong());
    EXPECT_EQ(out.size(), form.payload_size(r.ByteSizeLong()));
    return {out.begin(), out.end()};
  }

  settings config;
  caf::actor_system system{config};
  message_form form = message_form::of<run_atom, wire::JobRequest>(system);
};

wire::JobRequest request_of(std::size_t size) {
  wire::JobRequest r;
  r.set_params_json(std::string(size, 'x'));
  return r;
}

TEST_F(message_form_test, writes_what_caf_writes) {
  EXPECT_EQ(by_form({}), by_caf(caf::make_message(run_atom_v, job_request())));
  for (const std::size_t size :
       {1U, 120U, 124U, 125U, 126U, 127U, 128U, 16'379U, 16'380U, 70'000U, 2'100'000U}) {
    const wire::JobRequest r = request_of(size);
    EXPECT_EQ(by_form(r), by_caf(caf::make_message(run_atom_v, job_request(r)))) << size;
  }
}

TEST_F(message_form_test, makes_the_message_again) {
  const wire::JobRequest r = request_of(1000);
  const std::string payload = by_form(r);
  const auto body = form.body_of(payload);
  ASSERT_TRUE(body);
  const auto element = form.make(nullptr, *body);
  ASSERT_TRUE(element);
  EXPECT_TRUE(element->mid.is_async());
  caf::message made = element->move_content_to_message();
  ASSERT_TRUE((made.match_elements<caf::atom_value, job_request>()));
  EXPECT_EQ(made.get_as<caf::atom_value>(0), run_atom::value);
  EXPECT_EQ(made.get_as<job_request>(1)->params_json(), r.params_json());
}

TEST_F(message_form_test, leaves_other_messages_alone) {
  EXPECT_TRUE(form.is(run_atom::value, wire::JobRequest()));
  EXPECT_FALSE(form.is(admit_atom::value, wire::JobRequest()));
  EXPECT_FALSE(form.is(run_atom::value, wire::JobResult()));
  EXPECT_FALSE(form.body_of(by_caf(caf::make_message(admit_atom_v, job_request()))));
  EXPECT_FALSE(form.body_of(by_caf(caf::make_message(run_atom_v, job_result()))));
  EXPECT_FALSE(form.body_of(by_caf(caf::make_message(cancel_atom_v, std::string("id")))));
  EXPECT_FALSE(form.body_of(""));
}

TEST_F(message_form_test, refuses_what_is_cut_or_no_body) {
  const std::string whole = by_form(request_of(300));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(form.body_of(std::string_view(whole).substr(0, size))) << size;
  }
  EXPECT_FALSE(form.body_of(whole + "x"));
  // A size that never ends.
  const std::string prefix = by_form({}).substr(0, by_form({}).size() - 1);
  EXPECT_FALSE(form.body_of(prefix + std::string(20, '\xff')));
  EXPECT_EQ(form.make(nullptr, "\xff\xff\xff"), nullptr);
}

}  // namespace
}  // namespace lp::actors
