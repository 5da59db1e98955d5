// SPDX-License-Identifier: MIT
// A whole model from a hub on this machine: pulled, verified, damaged, mended, looked at.
#include "tools/lp-model/store.hpp"

#include <fstream>
#include <iterator>

#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "actors/model_pull.hpp"
#include "tests/support/fault_hub.hpp"
#include "tests/support/shapes_repository.hpp"
#include "tools/lp-model/inspection.hpp"
#include "tools/lp-model/progress_bar.hpp"

namespace lp::model_tool {
namespace {

namespace fs = std::filesystem;
using lp::testing::fault_hub;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const fs::path shapes = LP_SOURCE_DIR "/examples/models/shapes-64";

std::string read_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

class store : public ::testing::Test {
 protected:
  store() { fs::create_directories(models_); }
  ~store() override { fs::remove_all(models_); }

  result<fs::path> pull() {
    actors::pull_options o;
    o.models = models_;
    o.hub.endpoint = hub_.endpoint();
    o.hub.part_bytes = 256 * 1024;
    o.hub.first_pause = milliseconds(1);
    o.progress = [this](const actors::pull_state& s) { last_ = s; };
    return actors::pull_model({"me/shapes"}, o, stop_);
  }

  fs::path models_ = fs::temp_directory_path() / ("lp_store_" + std::to_string(::getpid()));
  fault_hub hub_{lp::testing::shapes_repository()};
  cancel_token stop_;
  actors::pull_state last_;
};

TEST_F(store, a_pulled_model_is_whole_and_verified) {
  hub_.expect({fault_hub::fault::none, fault_hub::fault::cut, fault_hub::fault::unavailable});
  const auto folder = pull();
  ASSERT_TRUE(folder) << render(folder.error());
  EXPECT_EQ(*folder, models_ / "me/shapes");
  EXPECT_EQ(last_.done, last_.total);
  EXPECT_FALSE(fs::exists(*folder / "unneeded.ckpt"));
  EXPECT_EQ(read_file(*folder / "unet/diffusion_pytorch_model.safetensors"),
            read_file(shapes / "unet/diffusion_pytorch_model.safetensors"));
  EXPECT_THAT(actors::verify_model(*folder)->wrong, IsEmpty());
  EXPECT_THAT(actors::verify_model(*folder)->by_size_alone, IsEmpty());

  const auto models = list_models(models_);
  ASSERT_TRUE(models) << render(models.error());
  ASSERT_EQ(models->size(), 1U);
  EXPECT_EQ(models->front().id, "me/shapes");
  EXPECT_TRUE(models->front().pulled);
  EXPECT_GT(models->front().bytes, 1'000'000U);
}

TEST_F(store, damage_is_found_and_mended_by_pulling_again) {
  const auto folder = pull();
  ASSERT_TRUE(folder) << render(folder.error());
  const fs::path file = *folder / "vae/diffusion_pytorch_model.safetensors";
  {
    std::fstream damage(file, std::ios::binary | std::ios::in | std::ios::out);
    damage.seekp(100'000);
    damage << "damage";
  }
  fs::remove(*folder / "tokenizer/vocab.json");
  const auto wrong = actors::verify_model(*folder);
  ASSERT_TRUE(wrong);
  ASSERT_EQ(wrong->wrong.size(), 2U);
  const std::uint64_t before = hub_.bytes_sent();
  ASSERT_TRUE(pull());
  EXPECT_THAT(actors::verify_model(*folder)->wrong, IsEmpty());
  EXPECT_THAT(actors::verify_model(*folder)->by_size_alone, IsEmpty());
  EXPECT_LT(hub_.bytes_sent() - before,
            fs::file_size(file) + fs::file_size(*folder / "tokenizer/vocab.json") + 100'000)
      << "what was right was not fetched again";
  EXPECT_EQ(actors::verify_model(shapes).error().code, ec::not_found);
}

TEST_F(store, a_file_that_another_model_has_is_not_fetched_again) {
  const auto first = pull();
  ASSERT_TRUE(first) << render(first.error());
  for (const auto& [path, body] : lp::testing::shapes_repository()) {
    std::string other = path;
    const std::size_t at = other.find("/me/shapes/");
    if (at == std::string::npos) continue;
    const bool list = path.starts_with("/api/");
    if (!list) other.replace(other.find("/main/"), 6, "/v2/");
    if (list) other.replace(other.find("/main"), 5, "/v2");
    hub_.set(other, body);
  }
  const std::uint64_t before = hub_.bytes_sent();
  actors::pull_options o;
  o.models = models_;
  o.hub.endpoint = hub_.endpoint();
  const auto second = actors::pull_model({"me/shapes", "v2"}, o, stop_);
  ASSERT_TRUE(second) << render(second.error());
  EXPECT_EQ(*second, models_ / "me/shapes@v2");
  EXPECT_LT(hub_.bytes_sent() - before, 200'000U) << "its small files alone";
  EXPECT_TRUE(fs::equivalent(*first / "unet/diffusion_pytorch_model.safetensors",
                             *second / "unet/diffusion_pytorch_model.safetensors"));
  EXPECT_THAT(actors::verify_model(*second)->wrong, IsEmpty());
  EXPECT_THAT(actors::verify_model(*second)->by_size_alone, IsEmpty());
}

TEST_F(store, a_mirror_that_tells_no_sizes_gives_whole_files_and_no_false_word) {
  std::string list;
  for (const auto& [path, body] : lp::testing::shapes_repository()) {
    const std::string prefix = "/me/shapes/resolve/main/";
    if (path.starts_with(prefix))
      list += fmt::format(R"({{"rfilename":"{}"}},)", path.substr(prefix.size()));
  }
  list.pop_back();
  hub_.set("/api/models/me/shapes/revision/main", R"({"siblings":[)" + list + "]}");
  const auto folder = pull();
  ASSERT_TRUE(folder) << render(folder.error());
  EXPECT_EQ(read_file(*folder / "unet/diffusion_pytorch_model.safetensors"),
            read_file(shapes / "unet/diffusion_pytorch_model.safetensors"));
  auto found = actors::verify_model(*folder);
  ASSERT_TRUE(found);
  EXPECT_THAT(found->wrong, IsEmpty());
  EXPECT_EQ(found->by_size_alone.size(), found->files) << "nothing to compare their content with";
  fs::resize_file(*folder / "unet/diffusion_pytorch_model.safetensors", 0);
  found = actors::verify_model(*folder);
  EXPECT_EQ(found->wrong.size(), 1U);
  // What an older version wrote down of such a file.
  std::ofstream(*folder / ".hub.json")
      << R"({"files":[{"path":"unet/diffusion_pytorch_model.safetensors","size":0,"sha256":"","git":""}]})";
  EXPECT_EQ(actors::verify_model(*folder)->wrong.size(), 1U);
}

TEST_F(store, a_repository_with_one_lora_can_be_asked_for_by_its_name) {
  const std::string header =
      R"({"unet.x.lora_A.weight": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}})";
  std::string file(8, '\0');
  file[0] = static_cast<char>(header.size());
  file += header;
  hub_.set("/api/models/me/style/revision/refs%2Fpr%2F11",
           R"({"siblings":[{"rfilename":"my style.safetensors"},{"rfilename":"README.md"}]})");
  hub_.set("/me/style/resolve/refs%2Fpr%2F11/my%20style.safetensors", file);
  actors::pull_options o;
  o.models = models_;
  o.hub.endpoint = hub_.endpoint();
  const auto folder = actors::pull_model({"me/style", "refs/pr/11"}, o, stop_);
  ASSERT_TRUE(folder) << render(folder.error());
  EXPECT_EQ(*folder, models_ / "me/style@refs/pr/11");
  EXPECT_EQ(read_file(models_ / "loras/me/style@refs/pr/11.safetensors"), file);
  ASSERT_TRUE(actors::pull_model({"me/style", "refs/pr/11"}, o, stop_)) << "and again";
  EXPECT_THAT(*list_models(models_), IsEmpty()) << "it is no model";
}

TEST_F(store, an_unfinished_model_is_none_yet) {
  std::deque<fault_hub::fault> faults(4, fault_hub::fault::none);
  faults.insert(faults.end(), 400, fault_hub::fault::unavailable);
  hub_.expect(faults);
  ASSERT_FALSE(pull());
  EXPECT_THAT(*list_models(models_), IsEmpty());
  const auto now = fs::file_time_type::clock::now();
  EXPECT_THAT(*find_leftovers(models_, false, now), IsEmpty()) << "it may still be going on";
  EXPECT_FALSE(find_leftovers(models_, true, now)->empty());
  EXPECT_FALSE(find_leftovers(models_, false, now + std::chrono::hours(25))->empty());
}

TEST_F(store, weights_that_lie_twice_are_left_over) {
  const auto folder = pull();
  ASSERT_TRUE(folder);
  std::ofstream(*folder / "unet/diffusion_pytorch_model.bin") << "x";
  const auto found = find_leftovers(models_, false, fs::file_time_type::clock::now());
  ASSERT_TRUE(found);
  ASSERT_EQ(found->size(), 1U);
  EXPECT_EQ(found->front().path.filename(), "diffusion_pytorch_model.bin");
  EXPECT_EQ(find_leftovers("/no/such/folder", false, {}).error().code, ec::bad_config);
}

TEST_F(store, shows_broken_models_as_broken) {
  for (const char* name : {"cut", "empty", "index", "misfit", "whole"}) {
    fs::copy(shapes, models_ / name, fs::copy_options::recursive);
  }
  const fs::path unet = "unet/diffusion_pytorch_model.safetensors";
  fs::resize_file(models_ / "cut" / unet, 1000);
  fs::remove(models_ / "empty" / unet);
  std::ofstream(models_ / "index/model_index.json") << "no JSON";
  fs::copy_file(models_ / "whole/vae/diffusion_pytorch_model.safetensors",
                models_ / "misfit" / unet, fs::copy_options::overwrite_existing);
  const auto listed = list_models(models_);
  ASSERT_TRUE(listed) << render(listed.error());
  ASSERT_EQ(listed->size(), 5U);
  EXPECT_THAT((*listed)[0].broken, HasSubstr(unet.string()));
  EXPECT_THAT((*listed)[1].broken, HasSubstr("unet: no weights"));
  EXPECT_THAT((*listed)[2].broken, HasSubstr("model_index.json"));
  EXPECT_THAT((*listed)[4].broken, IsEmpty());
  // What only loading tells.
  const auto report = inspect(models_ / "misfit", true);
  ASSERT_TRUE(report) << render(report.error());
  ASSERT_EQ(report->missing.size(), 1U);
  EXPECT_THAT(report->missing.front(), HasSubstr("the weights do not fit config.json"));
  EXPECT_THAT(to_text(*report), HasSubstr("broken    "));
  EXPECT_THAT(inspect(models_ / "whole", true)->missing, IsEmpty());
}

TEST_F(store, tells_of_a_checker_that_is_not_there) {
  const fs::path model = models_ / "shapes";
  fs::copy(shapes, model, fs::copy_options::recursive);
  std::string index = read_file(model / "model_index.json");
  const std::string none = R"("safety_checker":[null,null])";
  ASSERT_NE(index.find(none), index.npos);
  index.replace(index.find(none), none.size(),
                R"("safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"])");
  std::ofstream(model / "model_index.json") << index;
  const auto report = inspect(model, false);
  ASSERT_TRUE(report) << render(report.error());
  EXPECT_THAT(report->absent, ::testing::ElementsAre("safety_checker"));
  EXPECT_THAT(report->missing, IsEmpty());
  EXPECT_THAT(to_text(*report), HasSubstr("absent    safety_checker"));
}

TEST(inspect, tells_what_a_model_is_and_lacks) {
  const auto report = inspect(shapes, false);
  ASSERT_TRUE(report) << render(report.error());
  EXPECT_EQ(report->family, "StableDiffusionPipeline");
  EXPECT_THAT(report->pipelines, ::testing::Contains("text-to-image"));
  EXPECT_THAT(report->missing, IsEmpty());
  EXPECT_GT(report->total().parameters, 500'000U);
  const std::string text = to_text(*report);
  EXPECT_THAT(text, HasSubstr("UNet2DConditionModel"));
  EXPECT_THAT(text, HasSubstr("weights"));
  EXPECT_EQ(inspect("/no/such/model", false).error().code, ec::bad_file);
}

TEST_F(store, inspects_a_checkpoint_in_one_file) {
  const fs::path file = models_ / "one.safetensors";
  const std::string header =
      R"({"model.diffusion_model.input_blocks.0.0.weight": {"dtype": "F16", "shape": [2, 4, 1, 1],)"
      R"( "data_offsets": [0, 16]}, "first_stage_model.quant_conv.bias": {"dtype": "F32",)"
      R"( "shape": [2], "data_offsets": [16, 24]}})";
  std::string length(8, '\0');
  length[0] = static_cast<char>(header.size());
  std::ofstream(file, std::ios::binary) << length << header << std::string(24, '\0');
  const auto report = inspect(file, true);
  ASSERT_TRUE(report) << render(report.error());
  EXPECT_EQ(report->family, "StableDiffusionPipeline");
  EXPECT_EQ(report->total().bytes, 24U);
  ASSERT_EQ(report->parts.size(), 2U);
  EXPECT_EQ(report->parts.front().name, "unet");
  EXPECT_EQ(report->parts.front().weights.parameters, 8U);
  ASSERT_EQ(report->missing.size(), 1U);
  EXPECT_THAT(report->missing.front(), HasSubstr("tokenizer"));
}

TEST(progress_bar, tells_share_speed_and_time_left) {
  const time_point start{};
  progress_bar bar(start);
  actors::pull_state state{"unet/x.safetensors", 100'000'000, 1'100'000'000};
  EXPECT_TRUE(bar.update(state, start));
  state.done = 600'000'000;
  EXPECT_FALSE(bar.update(state, start + milliseconds(50))) << "not ten times a second";
  const auto line = bar.update(state, start + seconds(10));
  ASSERT_TRUE(line);
  EXPECT_THAT(*line, HasSubstr(" 55 %"));
  EXPECT_THAT(*line, HasSubstr("47.7 MiB/s")) << "what was there before has no speed";
  EXPECT_THAT(*line, HasSubstr("10 s left"));
  EXPECT_THAT(*line, HasSubstr("unet/x.safetensors"));
  state.done = state.total;
  EXPECT_TRUE(bar.update(state, start + seconds(10))) << "the end is always shown";
}

}  // namespace
}  // namespace lp::model_tool
