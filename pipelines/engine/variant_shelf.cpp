// SPDX-License-Identifier: MIT
#include "pipelines/engine/variant_shelf.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "pipelines/engine/guarded.hpp"
#include "pipelines/weights/model_stamp.hpp"

namespace lp::engine {

namespace {

namespace fs = std::filesystem;

/// Combinations of LoRA files that a model keeps at hand.
constexpr std::size_t kept_variants = 4;

/// Told by the name that was asked for.
error refused(const error& e, const std::string& name) {
  if (e.code != ec::bad_file) return e;
  const auto what = fmt::format("\"{}\" cannot be used: {}", name, e.message);
  return {ec::invalid_parameters, "loras: " + what, {{{"body", "loras"}, what, "value_error"}}};
}

}  // namespace

result<variant_shelf::choice> variant_shelf::choose(const strengths& loras) const {
  choice out;
  for (const auto& [name, strength] : loras) {
    auto path = find_lora(model_, name);
    if (!path) {
      auto e = path.error();
      e.fields = {{{"body", "loras"}, e.message, "value_error"}};
      return fail(std::move(e));
    }
    auto place = pipelines::place_of_file(*path);
    out[name] = {strength, std::move(*path), std::move(place)};
  }
  return out;
}

result<variant_shelf::foresight> variant_shelf::foresee(const strengths& loras) const {
  foresight out{base_, {}, kept_bytes()};
  if (loras.empty()) return out;
  const auto wanted = choose(loras);
  if (!wanted) return fail(wanted.error());
  {
    const std::lock_guard lock(guard_);
    for (const auto& v : kept_) {
      if (v.loras != *wanted) continue;
      out.of = v.made;
      return out;
    }
  }
  auto files = open(*wanted);
  if (!files) return fail(files.error());
  for (auto& [file, strength] : *files) out.more.push_back(std::move(file));
  return out;
}

std::uint64_t variant_shelf::kept_bytes() const {
  const std::lock_guard lock(guard_);
  std::uint64_t sum = 0;
  for (const auto& v : kept_) sum += v.made->bytes() - base_->bytes();
  return sum;
}

result<variant_shelf::pipeline> variant_shelf::get(const strengths& loras,
                                                   std::vector<std::string>& notes) {
  if (loras.empty()) return base_;
  const auto wanted = choose(loras);
  if (!wanted) return fail(wanted.error());
  const std::lock_guard lock(guard_);
  const auto known =
      std::find_if(kept_.begin(), kept_.end(), [&](const auto& v) { return v.loras == *wanted; });
  if (known != kept_.end()) {
    std::rotate(kept_.begin(), known, known + 1);
  } else {
    auto made = make(*wanted);
    if (!made) return fail(made.error());
    // Of the same files as they were before nobody will ask again.
    std::erase_if(kept_, [&](const variant& v) {
      return std::equal(v.loras.begin(), v.loras.end(), wanted->begin(), wanted->end(),
                        [](const auto& a, const auto& b) {
                          return a.first == b.first && a.second.strength == b.second.strength;
                        });
    });
    kept_.insert(kept_.begin(), std::move(*made));
    if (kept_.size() > kept_variants) kept_.pop_back();
  }
  const auto& front = kept_.front();
  notes.insert(notes.end(), front.notes.begin(), front.notes.end());
  return front.made;
}

result<variant_shelf::opened_files> variant_shelf::open(const choice& loras) {
  opened_files files;
  for (const auto& [name, lora] : loras) {
    auto file = lora_file::open(lora.path);
    if (!file) return fail(refused(file.error(), name));
    files.emplace_back(std::move(*file), lora.strength);
  }
  return files;
}

result<variant_shelf::variant> variant_shelf::make(const choice& loras) const {
  const auto files = open(loras);
  if (!files) return fail(files.error());
  variant out{loras, nullptr, {}};
  std::vector<std::string> unmatched;
  auto made = guarded([&] { return base_->with_loras(*files, unmatched); });
  if (!made) {
    auto e = made.error();
    for (const auto& [name, lora] : loras) {
      if (e.message.starts_with(lora.path.string())) e = refused(e, name);
    }
    return fail(std::move(e));
  }
  out.made = std::move(*made);
  if (!unmatched.empty()) {
    const auto shown = std::min<std::size_t>(unmatched.size(), 3);
    out.notes.push_back(fmt::format("loras: {} names fit no layer of this model: {}{}",
                                    unmatched.size(),
                                    fmt::join(unmatched.begin(), unmatched.begin() + shown, ", "),
                                    shown < unmatched.size() ? ", ..." : ""));
  }
  return out;
}

}  // namespace lp::engine
