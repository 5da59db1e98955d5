// SPDX-License-Identifier: MIT
#include "tools/lp-model/inspection.hpp"

#include <fstream>
#include <iterator>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "pipelines/checkpoint_class.hpp"
#include "pipelines/checkpoint_words.hpp"
#include "pipelines/description.hpp"
#include "pipelines/engine.hpp"
#include "pipelines/model_files.hpp"
#include "pipelines/model_index.hpp"
#include "pipelines/weights/checkpoint_prediction.hpp"
#include "runtime/base/bytes.hpp"

namespace lp::model_tool {

namespace fs = std::filesystem;

namespace {

std::string read_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// A request for one square picture, with every other parameter at its default.
pipelines::job_input request(int side) {
  pipelines::job_input input;
  const pipelines::description& d = *pipelines::find("text-to-image");
  for (const pipelines::parameter& p : d.parameters) {
    if (p.fallback) input.params[p.name] = *p.fallback;
  }
  input.params["prompt"] = "";
  input.params["width"] = side;
  input.params["height"] = side;
  return input;
}

void ask_for_memory(const fs::path& folder, model_report& out) {
  const auto engine = pipelines::get_engine();
  if (!engine) {
    out.why_no_memory = engine.error().message;
    return;
  }
  const auto model = (*engine)->load_image_model(folder, {});
  if (!model) {
    const bool here = model.error().code == ec::out_of_memory;
    if (here) out.why_no_memory = model.error().message;
    if (!here) out.missing.push_back(model.error().message);
    return;
  }
  out.notes = (*model)->notes();
  for (const int side : {512, 1024}) {
    const auto need = (*model)->memory_for(request(side));
    if (need && need->peak > 0) out.memory.push_back({side, need->peak});
    if (!need) out.why_no_memory = need.error().message;
  }
  if (out.memory.empty() && out.why_no_memory.empty()) {
    out.why_no_memory = "the engine does not foresee it for this family";
  }
}

std::string dtypes(const pipelines::weights_summary& s) {
  std::vector<std::string> out;
  for (const auto& [name, count] : s.by_dtype) {
    out.push_back(fmt::format("{} {:.1f} M", name, static_cast<double>(count) / 1e6));
  }
  return fmt::format("{}", fmt::join(out, ", "));
}

result<void> look_at_folder(const fs::path& folder, model_report& out) {
  const auto parts = pipelines::parts_of_index(read_file(folder / pipelines::model_index_name));
  if (!parts) return fail(parts.error());
  for (const pipelines::model_part& p : *parts) {
    if (!p.has_weights()) continue;
    const auto weights = pipelines::summarise_folder(folder / p.name);
    if (!weights) {
      out.missing.push_back(weights.error().message);
      continue;
    }
    if (weights->tensors > 0) out.parts.push_back({p.name, p.class_name, *weights});
    if (weights->tensors == 0 && pipelines::may_lack(p)) out.absent.push_back(p.name);
  }
  for (std::string& lack : pipelines::missing_parts(folder)) out.missing.push_back(std::move(lack));
  return {};
}

result<void> look_at_checkpoint(const fs::path& file, model_report& out) {
  const auto parts = pipelines::checkpoint_parts(file);
  if (!parts) return fail(parts.error());
  for (const auto& [name, weights] : *parts) out.parts.push_back({name, "", weights});
  const auto predicts = pipelines::prediction_of(file);
  if (predicts) out.predicts = predicts->text();
  if (!predicts) out.missing.push_back(predicts.error().message);
  if (!pipelines::tokenizer_of(file)) {
    out.missing.push_back(
        fmt::format("{}: a folder \"tokenizer\" with CLIP's vocab.json and merges.txt",
                    fs::absolute(file).parent_path().string()));
  }
  return {};
}

}  // namespace

pipelines::weights_summary model_report::total() const {
  pipelines::weights_summary sum;
  for (const part_report& p : parts) sum.add(p.weights);
  return sum;
}

result<model_report> inspect(const fs::path& model, bool ask_engine) {
  model_report out;
  const auto family = pipelines::model_class(model);
  if (!family) return fail(family.error());
  out.family = *family;
  for (const pipelines::description& d : pipelines::all()) {
    if (d.accepts && d.accepts(model)) out.pipelines.push_back(d.name);
  }
  std::error_code ignored;
  const bool file = fs::is_regular_file(model, ignored);
  const auto looked = file ? look_at_checkpoint(model, out) : look_at_folder(model, out);
  if (!looked) return fail(looked.error());
  if (ask_engine && out.missing.empty() && !out.pipelines.empty()) ask_for_memory(model, out);
  return out;
}

std::string to_text(const model_report& r) {
  std::string out = fmt::format("family    {}\n", r.family);
  out += fmt::format("pipelines {}\n", r.pipelines.empty()
                                           ? "none here runs this family"
                                           : fmt::format("{}", fmt::join(r.pipelines, ", ")));
  for (const part_report& p : r.parts) {
    out += fmt::format("{:<16} {:<28} {:>9.1f} M parameters, {}: {}\n", p.name, p.class_name,
                       static_cast<double>(p.weights.parameters) / 1e6,
                       human_bytes(p.weights.bytes), dtypes(p.weights));
  }
  const auto total = r.total();
  out += fmt::format("weights   {} in {:.1f} M parameters\n", human_bytes(total.bytes),
                     static_cast<double>(total.parameters) / 1e6);
  for (const memory_report& m : r.memory) {
    out += fmt::format("memory    {} at {}x{}: weights and {} beside them\n",
                       human_bytes(total.bytes + m.bytes), m.side, m.side, human_bytes(m.bytes));
  }
  if (!r.why_no_memory.empty()) out += fmt::format("memory    not told: {}\n", r.why_no_memory);
  if (!r.predicts.empty()) out += fmt::format("network   {}\n", r.predicts);
  for (const std::string& note : r.notes) out += fmt::format("note      {}\n", note);
  for (const std::string& part : r.absent) {
    out += fmt::format("absent    {}: the model runs without it\n", part);
  }
  for (const std::string& lack : r.missing) out += fmt::format("broken    {}\n", lack);
  return out;
}

}  // namespace lp::model_tool
