// SPDX-License-Identifier: MIT
// The smallest engine there can be, to test how one is opened.
#include "pipelines/engine.hpp"

namespace {

namespace pipelines = lp::pipelines;

class fake_engine : public pipelines::engine {
 public:
  std::string version() const override { return "fake"; }
  std::vector<pipelines::device_info> devices() override { return {{"cpu", "abacus", 10, ""}}; }
  lp::result<pipelines::device_info> open_device(const pipelines::device&,
                                                 std::vector<std::string>&) override {
    return devices().front();
  }
  lp::result<std::shared_ptr<pipelines::model>> load_image_model(
      const std::filesystem::path& folder, const pipelines::device&) override {
    return lp::fail(lp::ec::load_failed, folder.string());
  }
  lp::result<void> convert_weights(const std::filesystem::path&, const std::filesystem::path&,
                                   std::string_view) override {
    return {};
  }
  lp::result<void> unpack_checkpoint(const std::filesystem::path&, const std::filesystem::path&,
                                     std::string_view) override {
    return {};
  }
  lp::result<pipelines::picture> decode_picture(std::string_view, pipelines::picture_form,
                                                const pipelines::decode_limits&) override {
    return lp::fail(lp::ec::bad_file, "no picture");
  }
};

}  // namespace

extern "C" pipelines::engine* lp_engine_instance() {
  static fake_engine instance;
  return &instance;
}
