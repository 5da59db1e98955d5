// SPDX-License-Identifier: MIT
#include <ATen/ATen.h>
#include <fmt/format.h>

#include "pipelines/engine/checkpoint.hpp"
#include "runtime/base/clock.hpp"
#include "tests/support/picture_judge.hpp"
#include "tools/lp-train/autoencoding.hpp"
#include "tools/lp-train/generate.hpp"
#include "tools/lp-train/noise.hpp"
#include "tools/lp-train/pictures.hpp"
#include "tools/lp-train/stages.hpp"

namespace lp::train {

namespace {

bool pair_is_right(const drawing::task& t, const testing::picture_view& view) {
  using drawing::arrangement;
  if (testing::judge_pair(t.wanted, view)) return true;
  if (drawing::says_arrangement(t.prompt)) return false;
  auto other = t.wanted;
  other.order = other.order == arrangement::beside ? arrangement::above : arrangement::beside;
  return testing::judge_pair(other, view);
}

}  // namespace

score score_of(const std::vector<drawing::task>& tasks, const at::Tensor& pictures) {
  score s;
  const auto height = static_cast<int>(pictures.size(2)),
             width = static_cast<int>(pictures.size(3));
  for (const auto& t : tasks) {
    const auto rgb = to_rgb8(pictures[s.count++]);
    const testing::picture_view view{rgb, width, height};
    if (t.wanted.order != drawing::arrangement::single) {
      s.pairs = true;
      s.right += pair_is_right(t, view);
      continue;
    }
    const auto v = testing::judge(t.wanted, view);
    s.background += v.background;
    s.colour += v.colour;
    s.shape += v.shape;
    s.place += v.place;
    s.right += v.right();
    s.right_in_place += v.right() && v.place;
  }
  return s;
}

std::string to_string(const score& s) {
  if (s.pairs) return fmt::format("right {}/{}", s.right, s.count);
  return fmt::format("right {}/{} (background {}, colour {}, shape {}, place {})", s.right, s.count,
                     s.background, s.colour, s.shape, s.place);
}

namespace {

at::Tensor drawn(const std::vector<drawing::task>& tasks) {
  std::vector<drawing::scene> scenes;
  for (const auto& t : tasks) scenes.push_back(t.wanted);
  return to_tensor(scenes);
}

/// Prints the scores of one kind of prompts and leaves a sheet in the work folder.
result<void> judge_prompts(const networks& n, const std::vector<drawing::task>& tasks,
                           const std::string& kind, const sampling& s, const options& o) {
  const at::NoGradGuard no_grad;
  const auto real = drawn(tasks);
  const auto start = clock::now();
  const auto pictures = generate(n, prompts_of(tasks), s);
  const double seconds = to_ms(clock::now() - start) / 1000 / static_cast<double>(tasks.size());
  const auto through = n.vae->decode(latent_mean(*n.vae, real.to(o.device))).clamp(-1, 1).cpu();
  fmt::print("{} {} prompts, {} steps, guidance {}, {:.3f} s a picture\n", tasks.size(), kind,
             s.steps, s.guidance, seconds);
  fmt::print("  real drawings:       {}\n", to_string(score_of(tasks, real)));
  fmt::print("  through autoencoder: {}\n", to_string(score_of(tasks, through)));
  fmt::print("  generated:           {}\n", to_string(score_of(tasks, pictures)));
  std::fflush(stdout);
  std::vector<at::Tensor> wrong;
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    const auto one = pictures.narrow(0, static_cast<std::int64_t>(i), 1);
    if (score_of({tasks[i]}, one).right == 0) wrong.push_back(one);
  }
  if (!wrong.empty()) {
    const auto file = o.work / fmt::format("wrong {}.png", kind);
    if (auto saved = save_sheet(file, at::cat(wrong), 10); !saved) return saved;
  }
  const auto shown = std::min<std::int64_t>(pictures.size(0), 60);
  return save_sheet(o.work / fmt::format("evaluation {}.png", kind), pictures.narrow(0, 0, shown),
                    10);
}

/// Image to image: one thing is changed by the prompt, everything else shall stay.
result<void> judge_edits(const networks& n, const evaluation& e, sampling s, const options& o) {
  const at::NoGradGuard no_grad;
  fmt::print("{} edits of each kind, {} steps, guidance {}\n", e.count, s.steps, s.guidance);
  for (int c = 0; c < drawing::change_count; ++c) {
    const auto what = static_cast<drawing::change>(c);
    const auto edits = drawing::edit_tasks(e.count, e.seed, what);
    std::vector<drawing::task> tasks, given;
    for (const auto& one : edits) {
      tasks.push_back(one.after);
      given.push_back({one.before, ""});
    }
    const auto from = latent_mean(*n.vae, drawn(given).to(o.device));
    for (const double strength : {0.5, 0.6, 0.7, 0.8, 0.9}) {
      s.strength = strength;
      const auto pictures = generate(n, prompts_of(tasks), s, from);
      const auto score = score_of(tasks, pictures);
      fmt::print("  {:10} strength {}: all as wanted {}, {}\n", to_string(what), strength,
                 score.right_in_place, to_string(score));
      std::fflush(stdout);
      const auto shown = std::min<std::int64_t>(pictures.size(0), 20);
      const auto sheet = at::cat({drawn(given).narrow(0, 0, shown), pictures.narrow(0, 0, shown)});
      const auto file = o.work / fmt::format("edit {} {}.png", to_string(what), strength);
      if (auto saved = save_sheet(file, sheet, 10); !saved) return saved;
    }
  }
  return {};
}

}  // namespace

result<void> evaluate(const options& o, const evaluation& e) {
  const auto model = load_model(o);
  if (!model) return fail(model.error());
  const auto n = model->view();
  const sampling s{.steps = e.steps, .guidance = e.guidance, .seed = e.seed, .device = o.device};
  const auto wanted = [&](const char* kind) { return e.kind == "all" || e.kind == kind; };
  result<void> done;
  if (wanted("single")) {
    done = judge_prompts(n, drawing::held_out_tasks(e.count, e.seed), "held-out", s, o);
  }
  if (done && wanted("training")) {
    done = judge_prompts(n, drawing::training_tasks(e.count, e.seed), "training", s, o);
  }
  if (done && wanted("pairs")) {
    done = judge_prompts(n, drawing::held_out_tasks(e.count, e.seed, true), "held-out two-object",
                         s, o);
  }
  if (done && wanted("edits")) done = judge_edits(n, e, s, o);
  return done;
}

}  // namespace lp::train
