// SPDX-License-Identifier: MIT
// The engine as a worker uses it.
#include "pipelines/engine.hpp"

#include <fstream>
#include <span>

#include <gmock/gmock.h>
#include <sys/resource.h>
#include <unistd.h>
#include <boost/json.hpp>

#include "pipelines/engine/blas.hpp"
#include "pipelines/engine/png.hpp"
#include "tests/engine/small_model.hpp"

extern "C" lp::pipelines::engine* lp_engine_instance();

namespace lp::engine {
namespace {

namespace json = boost::json;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

json::object params(std::string_view more = "{}") {
  auto out = json::parse(R"({"prompt": "a red circle on a blue background",
    "negative_prompt": "", "height": 64, "width": 64, "guidance_scale": 7.5, "seed": 5,
    "num_inference_steps": 2, "num_images_per_prompt": 1, "safety_check": false, "loras": "",
    "model_id": ""})")
                 .as_object();
  const auto changes = json::parse(more);
  for (const auto& [key, value] : changes.as_object()) out[key] = value;
  return out;
}

std::shared_ptr<pipelines::model> load(const std::filesystem::path& folder) {
  auto model = lp_engine_instance()->load_image_model(folder, {});
  EXPECT_TRUE(model) << model.error().message;
  return *model;
}

pipelines::output draw(pipelines::model& model, const json::object& with) {
  auto run = model.start({with, {}});
  EXPECT_TRUE(run) << run.error().message;
  pipelines::progress at;
  int last = 0;
  do {
    const auto stepped = (*run)->step();
    EXPECT_TRUE(stepped) << stepped.error().message;
    if (!stepped) break;
    at = *stepped;
    EXPECT_EQ(at.done, ++last);
  } while (at.done < at.total);
  auto finished = (*run)->finish();
  EXPECT_TRUE(finished) << finished.error().message;
  return std::move(*finished);
}

error refusal(pipelines::model& model, std::string_view more) {
  const auto run = model.start({params(more), {}});
  EXPECT_FALSE(run) << more;
  return run ? error{} : run.error();
}

TEST(engine, tells_its_parts) {
  const auto version = lp_engine_instance()->version();
  EXPECT_THAT(version, HasSubstr("libtorch"));
  EXPECT_THAT(version, HasSubstr("CUDA: "));
  EXPECT_THAT(version, HasSubstr(find_blas().name));
}

TEST(engine, has_the_cpu_as_its_first_device) {
  const auto devices = lp_engine_instance()->devices();
  ASSERT_FALSE(devices.empty());
  EXPECT_EQ(devices[0].id, "cpu");
  EXPECT_GT(devices[0].memory_bytes, std::uint64_t{1} << 28);
  std::vector<std::string> warnings;
  const auto opened =
      lp_engine_instance()->open_device({pipelines::device::kind::cpu, 0, 1}, warnings);
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->id, "cpu:1");
}

TEST(engine, refuses_a_gpu_that_is_not_there) {
  std::vector<std::string> warnings;
  const auto opened =
      lp_engine_instance()->open_device({pipelines::device::kind::cuda, 63, 0}, warnings);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ec::bad_config);
  EXPECT_THAT(opened.error().message, HasSubstr("cuda:63"));
}

TEST(engine, draws_a_png_and_tells_seed_stages_and_units) {
  const auto model = load(small_model());
  EXPECT_GT(model->bytes(), 10'000U);
  const auto out = draw(*model, params());
  ASSERT_EQ(out.files.size(), 1U);
  EXPECT_EQ(out.files[0].mime, "image/png");
  EXPECT_EQ(out.files[0].seed, 5);
  EXPECT_FALSE(out.files[0].nsfw);
  const auto picture = decode_png(*out.files[0].data).value();
  EXPECT_EQ(picture.width, 64U);
  EXPECT_EQ(picture.height, 64U);
  std::vector<std::string> stages;
  for (const auto& stage : out.stages) {
    stages.push_back(stage.name);
    EXPECT_GT(stage.ms, 0) << stage.name;
  }
  EXPECT_THAT(stages, ElementsAre("text", "denoise", "decode", "encode"));
  EXPECT_EQ(out.units, 64 * 64 * 2);
  EXPECT_TRUE(out.notes.empty());
}

TEST(engine, heeds_every_parameter_of_sampling_or_says_that_it_cannot) {
  const auto model = load(small_model());
  const auto file = [&](std::string_view more) {
    return *draw(*model, params(more)).files[0].data;
  };
  const auto usual = file("{}");
  EXPECT_EQ(file(R"({"scheduler": "", "clip_skip": 0, "eta": 0.0, "guidance_rescale": 0.0})"),
            usual);
  for (const char* other :
       {R"({"scheduler": "euler_a"})", R"({"clip_skip": 1})", R"({"guidance_rescale": 0.7})"})
    EXPECT_NE(file(other), usual) << other;
  const auto ddim = file(R"({"scheduler": "ddim"})");
  EXPECT_EQ(file(R"({"scheduler": "DDIMScheduler"})"), ddim);
  EXPECT_NE(file(R"({"scheduler": "ddim", "eta": 1.0})"), ddim);
  const auto idle = draw(*model, params(R"({"eta": 0.5, "guidance_rescale": 0.5,
                                            "guidance_scale": 1})"));
  EXPECT_THAT(idle.notes, ElementsAre("eta has no effect on the sampler PNDMScheduler",
                                      "guidance_rescale has no effect without guidance"));
  const auto deep = refusal(*model, R"({"clip_skip": 30})");
  EXPECT_EQ(deep.code, ec::invalid_parameters);
  EXPECT_EQ(deep.fields.at(0).loc.back(), "clip_skip");
  const auto endless =
      draw(*model, params(json::serialize(json::object{{"prompt", std::string(4000, '!')}})));
  EXPECT_THAT(endless.notes, Contains(HasSubstr("only the first 1200 tokens")));
}

TEST(engine, counts_seeds_up_and_draws_each_as_if_alone) {
  const auto model = load(small_model());
  const auto three = draw(*model, params(R"({"num_images_per_prompt": 3})"));
  ASSERT_EQ(three.files.size(), 3U);
  EXPECT_EQ(three.files[2].seed, 7);
  const auto alone = draw(*model, params(R"({"seed": 7})"));
  const auto a = decode_png(*alone.files[0].data).value();
  const auto b = decode_png(*three.files[2].data).value();
  int worst = 0;
  for (std::size_t i = 0; i < a.pixels.size(); ++i) {
    worst = std::max(worst, std::abs(static_cast<unsigned char>(a.pixels[i]) -
                                     static_cast<unsigned char>(b.pixels[i])));
  }
  EXPECT_LE(worst, 1);
}

TEST(engine, makes_up_a_seed_and_tells_it) {
  const auto model = load(small_model());
  auto with = params();
  with.erase("seed");
  const auto first = draw(*model, with);
  with["seed"] = first.files[0].seed;
  EXPECT_EQ(*draw(*model, with).files[0].data, *first.files[0].data);
  with["seed"] = nullptr;
  EXPECT_NE(draw(*model, with).files[0].seed, first.files[0].seed);
}

TEST(engine, resizes_where_the_model_says_what_it_was_trained_for) {
  const auto folder = copy_of_small_model("sized");
  std::ofstream(folder / "lp_model.json") << R"({"sizes": [[64, 64]]})";
  const auto out = draw(*load(folder), params(R"({"width": 1024, "height": 576})"));
  EXPECT_THAT(out.notes, Contains("drawn at 64x64 and resized to 1024x576"));
  EXPECT_EQ(out.files[0].width, 1024U);
  const auto picture = decode_png(*out.files[0].data).value();
  EXPECT_EQ(picture.width, 1024U);
  EXPECT_EQ(picture.height, 576U);
}

TEST(engine, names_the_field_that_it_cannot_do) {
  const auto model = load(small_model());
  for (const auto& [change, field] :
       {std::pair{R"({"width": 100})", "width"}, std::pair{R"({"height": 8})", "height"},
        std::pair{R"({"loras": "{\"a\": 1}"})", "loras"},
        std::pair{R"({"num_inference_steps": 5000})", "num_inference_steps"},
        std::pair{R"({"width": 2048, "height": 2048, "num_images_per_prompt": 16})",
                  "num_images_per_prompt"}}) {
    const auto e = refusal(*model, change);
    EXPECT_EQ(e.code, ec::invalid_parameters);
    EXPECT_THAT(e.message, HasSubstr(field));
  }
}

TEST(engine, draws_turbo_models_without_guidance) {
  const auto turbo = load(copy_of_small_model("tiny-turbo"));
  const auto plain = load(small_model());
  const auto expected = draw(*plain, params(R"({"guidance_scale": 0})"));
  const auto by_folder = draw(*turbo, params(R"({"negative_prompt": "blurry"})"));
  EXPECT_EQ(*by_folder.files[0].data, *expected.files[0].data);
  const auto by_id = draw(*plain, params(R"({"model_id": "someone/tiny-turbo"})"));
  EXPECT_EQ(*by_id.files[0].data, *expected.files[0].data);
}

TEST(engine, takes_the_steps_of_a_distilled_model_from_its_id) {
  const auto out = draw(*load(small_model()), params(R"({"model_id": "a/lightning_4step"})"));
  EXPECT_EQ(out.units, 64 * 64 * 4);
  EXPECT_THAT(out.notes, Contains(HasSubstr("4 steps")));
}

/// A decoded picture of one colour with another in its left half.
pipelines::picture half_and_half(const std::string& field, std::uint32_t width,
                                 std::uint32_t height, std::uint32_t channels) {
  std::string values(std::size_t{width} * height * channels, '\0');
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<char>(i / channels % width < width / 2 ? 200 : 30);
  return {field, width, height, channels, share(std::move(values))};
}

pipelines::output redraw(pipelines::model& model, const json::object& with,
                         std::vector<pipelines::picture> pictures) {
  auto run = model.start({with, {}, std::move(pictures)});
  EXPECT_TRUE(run) << run.error().message;
  pipelines::progress at;
  do {
    at = (*run)->step().value();
  } while (at.done < at.total);
  return (*run)->finish().value();
}

TEST(engine, redraws_a_picture_at_its_own_size) {
  const auto model = load(small_model());
  auto with = params(R"({"strength": 0.5, "num_inference_steps": 4})");
  with.erase("width");
  with.erase("height");
  const auto out = redraw(*model, with, {half_and_half("image", 100, 72, 4)});
  ASSERT_EQ(out.files.size(), 1U);
  EXPECT_EQ(out.files[0].width, 96U);
  EXPECT_EQ(out.files[0].height, 72U);
  EXPECT_THAT(out.notes, Contains(HasSubstr("100x72")));
  EXPECT_NE(*redraw(*model, with, {half_and_half("image", 100, 72, 1)}).files[0].data, "");
}

TEST(engine, repaints_where_the_mask_is_white) {
  const auto model = load(small_model());
  const auto with = params(R"({"strength": 1.0})");
  const auto image = half_and_half("image", 64, 64, 3);
  const auto mask = half_and_half("mask_image", 64, 64, 3);
  const auto masked = redraw(*model, with, {image, mask});
  EXPECT_NE(*masked.files[0].data, *redraw(*model, with, {image}).files[0].data);
  const auto alone = model->start({with, {}, {mask}});
  ASSERT_FALSE(alone);
  EXPECT_THAT(alone.error().message, HasSubstr("mask_image"));
}

TEST(engine, runs_that_are_stepped_together_draw_the_same_files) {
  const auto model = load(small_model());
  const auto alone = draw(*model, params());
  auto a = model->start({params(), {}}).value();
  auto b = model->start({params(R"({"seed": 9, "num_inference_steps": 3})"), {}}).value();
  ASSERT_NE(a->batch_key(), 0U);
  ASSERT_EQ(a->batch_key(), b->batch_key());
  pipelines::run* const other = b.get();
  while (a->batch_key() != 0 && a->batch_key() == b->batch_key()) {
    for (const auto& stepped : a->step_with({&other, 1})) ASSERT_TRUE(stepped);
  }
  // With nobody beside it a run steps as ever, to its last picture.
  for (auto* r : {a.get(), b.get()}) {
    for (auto at = r->step_with({}).front().value(); at.done < at.total;)
      at = r->step_with({}).front().value();
  }
  EXPECT_EQ(*a->finish().value().files[0].data, *alone.files[0].data);
  EXPECT_EQ(*b->finish().value().files[0].data,
            *draw(*model, params(R"({"seed": 9, "num_inference_steps": 3})")).files[0].data);
}

TEST(engine, folders_loaded_twice_share_their_weights_and_tell_their_memory) {
  const auto model = load(small_model());
  const auto again = load(small_model());
  const auto need = model->memory_for({params(), {}}).value();
  EXPECT_EQ(need.weights, model->bytes());
  EXPECT_GT(need.peak, 0U);
  EXPECT_EQ(again->bytes(), model->bytes());
  EXPECT_FALSE(model->memory_for({params(R"({"width": 100})"), {}}));
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
/// The process's address space may not grow while this lives.
class no_more_memory {
 public:
  no_more_memory() {
    ::getrlimit(RLIMIT_AS, &before_);
    std::ifstream status("/proc/self/statm");
    rlim_t pages = 0;
    status >> pages;
    rlimit now = before_;
    now.rlim_cur = pages * static_cast<rlim_t>(::sysconf(_SC_PAGESIZE)) + (rlim_t{1} << 20);
    ::setrlimit(RLIMIT_AS, &now);
  }
  ~no_more_memory() { ::setrlimit(RLIMIT_AS, &before_); }
  no_more_memory(const no_more_memory&) = delete;
  no_more_memory& operator=(const no_more_memory&) = delete;

 private:
  rlimit before_{};
};

TEST(engine, a_job_that_runs_out_of_memory_fails_alone) {
  const auto model = load(small_model());
  const auto before = draw(*model, params());
  auto large = model->start({params(R"({"width": 2048, "height": 2048})"), {}}).value();
  {
    const no_more_memory here;
    const auto stepped = large->step();
    ASSERT_FALSE(stepped);
    EXPECT_EQ(stepped.error().code, ec::out_of_memory) << stepped.error().message;
  }
  large.reset();
  EXPECT_EQ(*draw(*model, params()).files[0].data, *before.files[0].data);
}
#endif

TEST(engine, draws_classes_by_name_and_number) {
  namespace fs = std::filesystem;
  const auto weights = fs::path(LP_SOURCE_DIR).parent_path() / "shared" / "weights" / "dit-mnist";
  if (!fs::exists(weights)) GTEST_SKIP() << "no ../shared";
  const auto folder = fs::path(::testing::TempDir()) / "lp_models" / "digits";
  fs::remove_all(folder);
  fs::create_directories(folder / "transformer");
  fs::create_directories(folder / "scheduler");
  fs::copy(weights / "model-40000.pth", folder / "transformer");
  std::ofstream(folder / "model_index.json")
      << R"({"_class_name": "DiTPipeline", "id2label": {"7": "seven, Sieben"}})";
  std::ofstream(folder / "scheduler" / "scheduler_config.json")
      << R"({"beta_start": 0.0001, "beta_end": 0.02, "beta_schedule": "linear"})";
  const auto model = load(folder);
  const auto by_name = draw(*model, params(R"({"prompt": "sieben", "num_inference_steps": 20})"));
  const auto by_number = draw(*model, params(R"({"prompt": " 7", "num_inference_steps": 20})"));
  EXPECT_EQ(*by_name.files[0].data, *by_number.files[0].data);
  EXPECT_EQ(by_name.files[0].width, 64U);
  EXPECT_THAT(refusal(*model, R"({"prompt": "eleven"})").message, HasSubstr("prompt"));
  EXPECT_EQ(refusal(*model, R"({"num_inference_steps": 0})").code, ec::invalid_parameters);
  // What a job takes does not depend on the class.
  const auto need = model->memory_for({params(R"({"prompt": ""})"), {}});
  ASSERT_TRUE(need) << need.error().message;
  EXPECT_GT(need->peak, 0U);
}

TEST(blas, is_told_by_its_path) {
  const std::filesystem::path at("/usr/lib/x86_64-linux-gnu");
  EXPECT_EQ(blas_of(at / "openblas-openmp/libblas.so.3").kind, blas_kind::openblas_openmp);
  EXPECT_EQ(blas_advice(blas_of(at / "openblas-openmp/libblas.so.3")), "");
  for (const auto* file : {"blas/libblas.so.3.11.0", "openblas-pthread/libblas.so.3",
                           "openblas-serial/libblas.so.3"}) {
    const auto advice = blas_advice(blas_of(at / file));
    EXPECT_THAT(advice, HasSubstr(file));
    EXPECT_THAT(advice, HasSubstr("libopenblas0-openmp"));
  }
  EXPECT_FALSE(find_blas().file.empty());
}

}  // namespace
}  // namespace lp::engine
