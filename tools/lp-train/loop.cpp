// SPDX-License-Identifier: MIT
#include "tools/lp-train/loop.hpp"

#include <numeric>
#include <vector>

#include "tools/lp-train/parallel.hpp"
#include "tools/lp-train/progress.hpp"

namespace lp::train {
namespace {

double mean(auto first, auto last) {
  const auto count = last - first;
  return count == 0 ? 0 : std::accumulate(first, last, 0.0) / static_cast<double>(count);
}

outcome summary(const std::vector<double>& losses) {
  const auto some = std::min<std::ptrdiff_t>(5, static_cast<std::ptrdiff_t>(losses.size()));
  return {static_cast<std::int64_t>(losses.size()), mean(losses.begin(), losses.begin() + some),
          mean(losses.end() - some, losses.end())};
}

}  // namespace

result<outcome> run_stage(const stage& s, adamw& optimizer, const options& o) {
  const auto file = o.work / (s.name + ".safetensors");
  if (std::filesystem::exists(file)) {
    if (const auto loaded = optimizer.load(file); !loaded) return fail(loaded.error());
  }
  const auto keep = [&](std::int64_t i) -> result<void> {
    optimizer.swap_average();
    auto kept = s.keep(i);
    optimizer.swap_average();
    return kept;
  };
  const stop_watch time(o.minutes);
  std::vector<double> losses;
  auto i = optimizer.steps();
  progress_bar bar(s.name, i, s.iterations);
  while (i < s.iterations && !time.over()) {
    losses.push_back(backward_in_parts(o.threads > 1, [&](int part) { return s.loss(i, part); }));
    const double rate = s.rate(i);
    optimizer.step(rate);
    bar.update(++i, losses.back(), rate);
    if (o.every == 0 || i % o.every != 0 || i == s.iterations) continue;
    if (auto saved = optimizer.save(file); !saved) return fail(saved.error());
    if (auto kept = keep(i); !kept) return fail(kept.error());
  }
  bar.finish();
  if (auto saved = optimizer.save(file); !saved) return fail(saved.error());
  if (auto kept = keep(i); !kept) return fail(kept.error());
  return summary(losses);
}

}  // namespace lp::train
