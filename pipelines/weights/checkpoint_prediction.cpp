// SPDX-License-Identifier: MIT
#include "pipelines/weights/checkpoint_prediction.hpp"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>
#include <map>
#include <numeric>

#include <fmt/format.h>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>

#include "pipelines/weights/tensor_names.hpp"

namespace lp::pipelines {

namespace fs = std::filesystem;
namespace json = boost::json;

namespace {

constexpr std::uintmax_t longest_json = 1 << 20;
constexpr const char* network = "model.diffusion_model.";
// Of SD 2.x: networks that predict v spread these biases more (comfy/supported_models.py).
constexpr const char* telling_bias =
    "model.diffusion_model.output_blocks.11.1.transformer_blocks.0.norm1.bias";
constexpr double telling_spread = 0.09;
// The usual schedules end with 0.0047 of the signal's variance.
constexpr double no_signal = 1e-4;

result<json::object> read_object(const fs::path& file) {
  std::error_code error;
  if (!fs::exists(file, error)) return json::object{};
  const auto wrong = [&](std::string_view what) {
    return fail(ec::bad_file, fmt::format("{}: {}", file.string(), what));
  };
  if (fs::file_size(file, error) > longest_json || error) return wrong("too long or not readable");
  std::ifstream in(file, std::ios::binary);
  boost::system::error_code bad;
  auto value = json::parse(std::string{std::istreambuf_iterator<char>(in), {}}, bad);
  if (bad || !value.is_object()) return wrong("expected a JSON object");
  return std::move(value.get_object());
}

// The type under the names that trainers give it; empty for others.
std::string type_named(std::string_view word) {
  if (word == "epsilon" || word == "eps") return "epsilon";
  for (const char* v : {"v", "v_prediction", "v-prediction", "v_pred", "velocity"}) {
    if (word == v) return "v_prediction";
  }
  return word == "sample" || word == "x0" ? "sample" : "";
}

result<prediction_override> read_override(const json::object& from, const fs::path& file) {
  prediction_override out;
  if (const auto* type = from.if_contains("prediction_type"); type != nullptr) {
    const auto name = type->is_string() ? type_named(type->get_string()) : std::string();
    if (name.empty()) {
      return fail(ec::bad_file,
                  fmt::format("{}: prediction_type: expected \"epsilon\", \"v_prediction\" or "
                              "\"sample\"",
                              file.string()));
    }
    out.type = name;
  }
  if (const auto* zero = from.if_contains("zero_terminal_snr"); zero != nullptr) {
    if (!zero->is_bool()) {
      return fail(ec::bad_file,
                  fmt::format("{}: zero_terminal_snr: expected true or false", file.string()));
    }
    out.zero_terminal_snr = zero->get_bool();
  }
  return out;
}

double spread(const std::vector<double>& values) {
  const auto count = static_cast<double>(std::max<std::size_t>(1, values.size()));
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / count;
  double sum = 0;
  for (const double v : values) sum += (v - mean) * (v - mean);
  return std::sqrt(sum / count);
}

// One file's evidence, weighed piece by piece.
class evidence {
 public:
  evidence(const fs::path& file, const tensor_values& values) : file_(file), values_(values) {}

  result<prediction> weigh() {
    auto names = read_tensor_names(file_);
    if (!names) return fail(names.error());
    names_ = std::move(*names);
    if (file_.extension() == ".safetensors") {
      auto metadata = read_safetensors_metadata(file_);
      if (metadata) metadata_ = std::move(*metadata);
    }
    if (auto ok = refuse_edm(); !ok) return fail(ok.error());
    auto beside = file_;
    beside.replace_extension(".json");
    const auto sidecar = read_object(beside);
    if (!sidecar) return fail(sidecar.error());
    heed_keys();
    heed_metadata();
    heed_schedule();
    heed_scheduler(*sidecar);
    heed_biases();
    const auto own = read_override(*sidecar, beside);
    if (!own) return fail(own.error());
    heed_owner(*own, beside);
    const auto facts = read_prediction_override(file_);
    if (!facts) return fail(facts.error());
    heed_owner(*facts, facts_file(file_));
    return out_;
  }

 private:
  bool has(const std::string& name) const { return names_.contains(name); }
  bool decided() const { return !out_.told_by.empty(); }

  void decide(std::string type, std::string why) {
    if (decided()) return;
    out_.type = std::move(type);
    out_.told_by = std::move(why);
  }

  std::optional<std::vector<double>> values(const std::string& name) const {
    if (!has(name)) return std::nullopt;
    if (values_) return values_(name);
    if (file_.extension() != ".safetensors") return std::nullopt;
    return read_safetensors_values(file_, name);
  }

  result<void> refuse_edm() const {
    for (const char* name : {"edm_mean", "edm_vpred.sigma_max"}) {
      if (!has(name)) continue;
      return fail(ec::bad_file, fmt::format("{}: its tensor {} says that it is made for EDM "
                                            "sampling, which is not supported",
                                            file_.string(), name));
    }
    return {};
  }

  void heed_keys() {
    if (has("v_pred")) decide("v_prediction", "the tensor v_pred");
    if (has("ztsnr")) out_.zero_terminal_snr = true;
  }

  void heed_metadata() {
    const auto said = metadata_.find("modelspec.prediction_type");
    if (said != metadata_.end()) {
      if (auto type = type_named(said->second); !type.empty())
        decide(std::move(type), "the metadata modelspec.prediction_type");
    }
    const auto made = metadata_.find("modelspec.architecture");
    if (made != metadata_.end() && made->second.find("768-v") != std::string::npos)
      decide("v_prediction", "the metadata modelspec.architecture");
  }

  void heed_schedule() {
    const auto alphas = values("alphas_cumprod");
    if (!alphas || alphas->empty() || !(std::abs(alphas->back()) < no_signal)) return;
    out_.zero_terminal_snr = true;
    // There is no noise to tell from pure noise.
    decide("v_prediction", "the tensor alphas_cumprod, which ends without signal");
  }

  void heed_scheduler(const json::object& sidecar) {
    const auto* scheduler = sidecar.if_contains("scheduler");
    if (scheduler == nullptr || !scheduler->is_object()) return;
    const auto* type = scheduler->get_object().if_contains("prediction_type");
    if (type == nullptr || !type->is_string()) return;
    if (auto name = type_named(type->get_string()); !name.empty())
      decide(std::move(name), "the scheduler in the file beside it");
  }

  void heed_biases() {
    const auto shape_at = [&](const char* name, std::size_t dim) -> std::uint64_t {
      const auto it = names_.find(std::string(network) + name);
      return it == names_.end() || it->second.shape.size() <= dim ? 0 : it->second.shape[dim];
    };
    const bool sd2 =
        shape_at("input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight", 1) == 1024 &&
        shape_at("input_blocks.0.0.weight", 1) == 4;
    if (!sd2 || decided()) return;
    const auto biases = values(telling_bias);
    if (!biases) return;
    decide(spread(*biases) > telling_spread ? "v_prediction" : "epsilon",
           fmt::format("the spread of {}", telling_bias + std::string_view(network).size()));
  }

  void heed_owner(const prediction_override& said, const fs::path& where) {
    const std::string name = where.filename().string();
    if (said.type) {
      out_.type = *said.type;
      out_.told_by = name;
    }
    if (said.zero_terminal_snr) out_.zero_terminal_snr = *said.zero_terminal_snr;
  }

  const fs::path& file_;
  const tensor_values& values_;
  std::map<std::string, named_tensor> names_;
  std::map<std::string, std::string> metadata_;
  prediction out_;
};

}  // namespace

std::string prediction::text() const {
  return fmt::format(
      "predicts {}{}, {}", type, zero_terminal_snr ? " with zero terminal SNR" : "",
      told_by.empty() ? std::string("which is assumed: the file does not say") : "by " + told_by);
}

result<prediction> prediction_of(const fs::path& file, const tensor_values& values) {
  return evidence(file, values).weigh();
}

fs::path facts_file(const fs::path& model) {
  std::error_code ignored;
  return (fs::is_regular_file(model, ignored) ? model.parent_path() : model) / "lp_model.json";
}

result<prediction_override> read_prediction_override(const fs::path& model) {
  const auto file = facts_file(model);
  const auto facts = read_object(file);
  if (!facts) return fail(facts.error());
  return read_override(*facts, file);
}

}  // namespace lp::pipelines
