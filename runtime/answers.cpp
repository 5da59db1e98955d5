// SPDX-License-Identifier: MIT
#include "runtime/answers.hpp"

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>

#include "runtime/base/bytes.hpp"

namespace lp::runtime {

namespace json = boost::json;

namespace {

result<std::string> url_of(wire::Media& file, const media_delivery& delivery,
                           net::media_store& store) {
  if (delivery.inline_data) return "data:" + file.mime() + ";base64," + to_base64(file.data());
  auto bytes = share(std::move(*file.mutable_data()));
  const auto id = store.put(std::move(bytes), file.mime(), clock::now());
  if (!id) return fail(id.error());
  return delivery.origin + net::media_path(*id, file.mime());
}

json::object job_part(const wire::JobResult& r, const json::storage_ptr& storage) {
  json::object out(storage);
  out.reserve(8);
  out["id"] = r.id();
  out["model"] = r.model();
  out["route"] = json::array(r.route().begin(), r.route().end(), storage);
  json::array& stages = out["stages"].emplace_array();
  for (const wire::Stage& s : r.stages()) {
    stages.push_back(json::object({{"name", s.name()}, {"ms", s.ms()}}, storage));
  }
  out["units"] = r.units();
  json::value& checked_by = out["safety_checked_by"];
  if (!r.checked_by().empty()) checked_by = r.checked_by();
  out["notes"] = json::array(r.notes().begin(), r.notes().end(), storage);
  return out;
}

}  // namespace

result<json::object> make_answer(const pipelines::description& d, wire::JobResult r,
                                 const media_delivery& delivery, net::media_store& store,
                                 json::storage_ptr storage) {
  json::object answer(storage);
  if (!r.fields_json().empty()) {
    boost::system::error_code bad;
    json::value fields = json::parse(r.fields_json(), bad, storage);
    if (bad || !fields.is_object()) return fail(ec::internal, "the result's fields are no object");
    answer = std::move(fields.as_object());
  }
  using form = pipelines::answer;
  const bool pictures = d.result_form == form::images || d.result_form == form::video;
  if (pictures || r.media_size() > 0) {
    json::array images(storage);
    for (wire::Media& file : *r.mutable_media()) {
      const auto url = url_of(file, delivery, store);
      if (!url) return fail(url.error());
      images.push_back(json::object{{"url", *url}, {"seed", file.seed()}, {"nsfw", file.nsfw()}});
    }
    answer["images"] = std::move(images);
  }
  answer["job"] = job_part(r, storage);
  return answer;
}

json::object make_health(const actors::gateway_view& view) {
  json::array orchestrators;
  bool ready = false;
  for (const wire::Announcement& a : view.orchestrators) {
    json::array models;
    for (const wire::Offer& o : a.offers()) {
      models.push_back(json::object{{"pipeline", o.pipeline()},
                                    {"model", o.model()},
                                    {"warm", o.warm()},
                                    {"default", o.is_default()},
                                    {"price_per_unit", o.price_per_unit()}});
    }
    ready = ready || (!models.empty() && !a.draining());
    orchestrators.push_back(json::object{{"name", a.node()},
                                         {"slots", a.slots()},
                                         {"running", a.running()},
                                         {"queued", a.queued()},
                                         {"draining", a.draining()},
                                         {"models", std::move(models)}});
  }
  return {{"status", ready ? "OK" : "LOADING"},
          {"jobs", view.jobs},
          {"orchestrators", std::move(orchestrators)}};
}

}  // namespace lp::runtime
