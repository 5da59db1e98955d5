// SPDX-License-Identifier: MIT
#include <memory>
#include <vector>

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/message.h>
#include <google/protobuf/unknown_field_set.h>

#include "net/wire/lp_rpc.pb.h"
#include "runtime/base/bytes.hpp"
#include "tools/vector-runner/fields.hpp"
#include "tools/vector-runner/kinds.hpp"

namespace lp::vectors {

namespace {

namespace pb = google::protobuf;

// Packages differ and bytes do not depend on them: "net.Payment" is our Payment.
const pb::Message* find_message(const std::string& name) {
  const auto* payment = rpc::Payment::descriptor();
  const auto* found = payment->file()->FindMessageTypeByName(name.substr(name.rfind('.') + 1));
  return found == nullptr ? nullptr : pb::MessageFactory::generated_factory()->GetPrototype(found);
}

bool all_known(const pb::Message& m) {
  const auto* reflection = m.GetReflection();
  if (!reflection->GetUnknownFields(m).empty()) return false;
  std::vector<const pb::FieldDescriptor*> fields;
  reflection->ListFields(m, &fields);
  for (const auto* f : fields) {
    if (f->cpp_type() != pb::FieldDescriptor::CPPTYPE_MESSAGE) continue;
    if (!f->is_repeated()) {
      if (!all_known(reflection->GetMessage(m, f))) return false;
      continue;
    }
    for (int i = 0; i < reflection->FieldSize(m, f); ++i) {
      if (!all_known(reflection->GetRepeatedMessage(m, f, i))) return false;
    }
  }
  return true;
}

// Entries of maps have no order of their own, so they are sorted.
std::string written(const pb::Message& m) {
  std::string out;
  pb::io::StringOutputStream stream(&out);
  pb::io::CodedOutputStream coded(&stream);
  coded.SetSerializationDeterministic(true);
  m.SerializeToCodedStream(&coded);
  coded.Trim();
  return out;
}

}  // namespace

void run_wire(const json::object& vector, comparison& c) {
  const std::string bytes = bytes_field(vector, "hex");
  const pb::Message* kind = find_message(text_field(vector, "message"));
  if (kind == nullptr) return c.todo("no such message is known");
  const std::unique_ptr<pb::Message> m(kind->New());
  if (!m->ParseFromString(bytes)) return c.failure("the bytes are no such message");
  if (!all_known(*m)) return c.failure("it has fields that our message lacks");
  const std::string again = written(*m);
  c.hex("hex", vector.if_contains("hex"), again);
  c.text("base64", vector.if_contains("base64"), to_base64(again));
  c.text("bytes", vector.if_contains("bytes"), std::to_string(again.size()));
}

}  // namespace lp::vectors
