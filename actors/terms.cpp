// SPDX-License-Identifier: MIT
#include "actors/terms.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/core.h>
#include <boost/json/parse.hpp>

#include "payments/keccak.hpp"
#include "pipelines/description.hpp"
#include "runtime/base/steady_time.hpp"

namespace lp::actors {

namespace {

using payments::hash32;

// Gathers the parts of what is signed.
class transcript {
 public:
  explicit transcript(std::string_view name) { add(name); }

  transcript& add(std::string_view part) {
    const std::uint64_t size = part.size();
    for (int shift = 56; shift >= 0; shift -= 8) bytes_.push_back(static_cast<char>(size >> shift));
    bytes_.append(part);
    return *this;
  }

  hash32 digest() const { return payments::keccak256(bytes_); }

 private:
  std::string bytes_;
};

tl::unexpected<error> named(const std::string& field, const error& e) {
  return fail(ec::bad_request, fmt::format("{}: {}", field, e.message));
}

}  // namespace

hash32 request_digest(const wire::TermsRequest& r, const party& to) {
  return transcript("lp-runtime terms request 1")
      .add(to.cluster)
      .add(to.node)
      .add(r.pipeline())
      .add(r.model())
      .add(r.sender())
      .add(r.challenge())
      .digest();
}

hash32 terms_digest(std::string_view body) {
  return transcript("lp-runtime terms 1").add(body).digest();
}

hash32 job_digest(const wire::JobRequest& r) {
  transcript t("lp-runtime job 2");
  t.add(r.pipeline()).add(r.model()).add(r.params_json());
  for (const wire::Attachment& a : r.attachments()) {
    t.add(a.field()).add(a.mime()).add(a.sha256());
  }
  return t.digest();
}

result<payments::address> signer(const hash32& digest, const std::string& bytes,
                                 const std::string& field) {
  const auto signature = payments::parse_signature(bytes);
  if (!signature) return named(field, signature.error());
  auto who = payments::recover_message(digest, *signature);
  if (!who) return named(field, who.error());
  return *who;
}

std::string money_job(const std::string& id, const std::string& node, bool again) {
  return id + "@" + node + (again ? "#2" : "");
}

std::string scope_of(const std::string& pipeline, const std::string& model) {
  return pipeline + "_" + model;
}

std::uint64_t whole_units(double units) {
  constexpr double most = 9007199254740992.0;
  return units > 0 ? static_cast<std::uint64_t>(std::ceil(std::min(units, most))) : 0;
}

result<std::uint64_t> units_of(const wire::JobRequest& r) {
  const pipelines::description* d = pipelines::find(r.pipeline());
  if (d == nullptr) {
    return fail(ec::bad_request, fmt::format("job.pipeline: there is no \"{}\"", r.pipeline()));
  }
  boost::system::error_code bad;
  const auto params = boost::json::parse(r.params_json(), bad);
  if (bad || !params.is_object()) {
    return fail(ec::bad_request, "job.params_json: is no JSON object");
  }
  try {
    const auto checked = pipelines::validate_without_files(*d, params);
    if (!checked) return fail(ec::bad_request, "job.params_json: " + render(checked.error()));
    return whole_units(d->units(params.as_object()));
  } catch (const std::exception& e) {
    return fail(ec::bad_request, fmt::format("job.params_json: {}", e.what()));
  }
}

result<payments::job_authorization> read_authorisation(const wire::JobRequest& r,
                                                       const std::string& job,
                                                       const payments::address& orchestrator) {
  const wire::Authorisation& a = r.authorisation();
  payments::job_authorization out;
  const auto sender = payments::from_bytes<payments::address>(a.sender(), "authorisation.sender");
  if (!sender) return fail(sender.error());
  const auto charge = payments::u256_from_bytes(a.max_charge(), "authorisation.max_charge");
  if (!charge) return fail(charge.error());
  const auto sig = payments::parse_signature(a.signature());
  if (!sig) return named("authorisation.signature", sig.error());
  out.sender = *sender;
  out.orchestrator = orchestrator;
  out.job = job;
  out.scope = scope_of(r.pipeline(), r.model());
  out.body_hash = job_digest(r);
  out.max_charge = *charge;
  out.expires_at = a.expires_at();
  out.sig = *sig;
  return out;
}

result<signed_terms> read_terms(const wire::Terms& t) {
  signed_terms out;
  if (!out.body.ParseFromString(t.body())) return fail(ec::bad_request, "terms.body: is malformed");
  auto info = wire::read_info(out.body.info());
  if (!info) return fail(info.error());
  const auto who = signer(terms_digest(t.body()), t.signature(), "terms.signature");
  if (!who) return fail(who.error());
  const std::int64_t life_ms = out.body.life_ms();
  if (out.body.expires_ms() < life_ms || out.body.expires_ms() > last_unix_ms) {
    return fail(ec::bad_request, "terms.expires_ms: is no time of this or the next centuries");
  }
  out.stated_ms = out.body.expires_ms() - life_ms;
  out.info = std::move(*info);
  out.signer = *who;
  if (who->bytes != out.info.address) {
    return fail(ec::unauthorized, "terms.signature: is not of the address that the terms name");
  }
  return out;
}

wire::Terms sign_terms(const wire::TermsBody& body, const payments::private_key& key) {
  wire::Terms out;
  out.set_body(body.SerializeAsString());
  out.set_signature(key.sign_message(terms_digest(out.body())).str());
  return out;
}

}  // namespace lp::actors
