// SPDX-License-Identifier: MIT
#include "actors/frame_rules.hpp"

#include <vector>

#include <caf/actor_system.hpp>
#include <caf/binary_serializer.hpp>

#include "actors/protocol.hpp"

namespace lp::actors {

namespace {

template <class P>
bool parses(std::string_view bytes) {
  P p;
  return p.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
}

constexpr std::uint64_t number_of(caf::atom_value atom) {
  return static_cast<std::uint64_t>(atom);
}

// `send(..., Atom, body<P>)`, with whatever `rest` of types.
template <class Atom, class P>
message_rule sent(const char* types) {
  message_rule r;
  r.types = types;
  r.atom = number_of(Atom::value);
  r.body = parses<P>;
  return r;
}

template <class P>
message_rule answered(const char* types) {
  message_rule r;
  r.types = types;
  r.response = true;
  r.body = parses<P>;
  return r;
}

template <class Atom>
message_rule plain(const char* types) {
  message_rule r;
  r.types = types;
  r.atom = number_of(Atom::value);
  return r;
}

// Nodes of CAF ask each other for the actors that spawn others at a distance and tell settings.
// Nothing of ours uses those, and no peer is to have them.
std::vector<message_rule> unwanted() {
  message_rule question = plain<caf::sys_atom>("@<>+@atom+@atom+@str");
  question.second = number_of(caf::get_atom::value);
  question.to_named = true;
  message_rule answer = plain<caf::ok_atom>("@<>+@atom+@str+@strong_actor_ptr+@str");
  question.ignored = answer.ignored = true;
  return {question, answer};
}

std::string bytes_of(caf::actor_system& system, const caf::node_id& id) {
  std::vector<char> out;
  caf::binary_serializer sink(system, out);
  if (sink(id)) return {};
  return {out.begin(), out.end()};
}

}  // namespace

frame_rules rules_of(caf::actor_system& system) {
  message_rule error;
  error.types = "@<>+@error";
  error.response = true;
  frame_rules out;
  out.own_node = bytes_of(system, system.node());
  out.messages = {
      // What jobs consist of comes first.
      sent<read_atom, wire::ChunkRequest>("@<>+@atom+lp::actors::chunk_request"),
      answered<wire::Chunk>("@<>+lp::actors::chunk"),
      sent<run_atom, wire::JobRequest>("@<>+@atom+lp::actors::job_request"),
      sent<done_atom, wire::JobResult>("@<>+@atom+lp::actors::job_result"),
      sent<failed_atom, wire::JobFailure>("@<>+@atom+lp::actors::job_failure"),
      sent<announce_atom, wire::Announcement>("@<>+@atom+lp::actors::announcement"),
      sent<worker_atom, wire::WorkerState>("@<>+@atom+lp::actors::worker_state+@strong_actor_ptr"),
      sent<terms_atom, wire::TermsRequest>("@<>+@atom+lp::actors::terms_request"),
      answered<wire::Terms>("@<>+lp::actors::terms"),
      sent<hello_atom, wire::Hello>("@<>+@atom+lp::actors::hello"),
      answered<wire::Hello>("@<>+lp::actors::hello"),
      plain<cancel_atom>("@<>+@atom+@str"),
      plain<watch_atom>("@<>+@atom+@strong_actor_ptr"),
      error,
  };
  for (message_rule& r : unwanted()) out.messages.push_back(std::move(r));
  return out;
}

}  // namespace lp::actors
