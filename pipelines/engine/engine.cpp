// SPDX-License-Identifier: MIT
// The torch half as one object, and the entry point by which it is found.
#include "pipelines/engine.hpp"

#include <fstream>
#include <future>
#include <string_view>
#include <thread>

#include <ATen/Context.h>
#include <fmt/format.h>
#include <torch/version.h>
#include <unistd.h>

#include "pipelines/engine/blas.hpp"
#include "pipelines/engine/compute_scope.hpp"
#include "pipelines/engine/convert_weights.hpp"
#include "pipelines/engine/cuda/devices.hpp"
#include "pipelines/engine/cuda/torch/torch_cuda.hpp"
#include "pipelines/engine/guarded.hpp"
#include "pipelines/engine/image_model.hpp"
#include "pipelines/engine/kept_model.hpp"
#include "pipelines/engine/safety_checker.hpp"
#include "pipelines/engine/single_file.hpp"
#include "pipelines/engine/tensor_memory.hpp"
#include "pipelines/media/decode.hpp"

namespace lp::engine {

namespace {

/// A product of 512 x 512 matrices takes 1 to 3 ms with a good BLAS and 80 with the reference one.
constexpr double slow_product_ms = 50;

std::string cpu_name() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (!line.starts_with("model name")) continue;
    if (const auto colon = line.find(": "); colon != line.npos) return line.substr(colon + 2);
  }
  return "CPU";
}

std::string vector_extensions() {
#if defined(__x86_64__)
  std::string out;
  const auto add = [&out](bool there, std::string_view name) {
    if (there) out += fmt::format("{}{}", out.empty() ? "" : ", ", name);
  };
  add(__builtin_cpu_supports("avx2") != 0, "AVX2");
  add(__builtin_cpu_supports("avx512f") != 0, "AVX-512");
  add(__builtin_cpu_supports("avx512bf16") != 0, "AVX512-BF16");
  return out;
#else
  return {};
#endif
}

pipelines::device_info cpu_info() {
  const auto cores = std::max(1U, std::thread::hardware_concurrency());
  const auto memory = static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)) *
                      static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  return {"cpu", fmt::format("{} ({} {})", cpu_name(), cores, cores == 1 ? "core" : "cores"),
          memory, vector_extensions()};
}

class torch_engine final : public pipelines::engine {
 public:
  torch_engine() { use_tensor_memory(); }

  std::string version() const override {
    return fmt::format("libtorch {}, {}, CUDA: {}", TORCH_VERSION, find_blas().name, cuda_state());
  }

  std::vector<pipelines::device_info> devices() override {
    std::vector<pipelines::device_info> out{cpu_info()};
    for (auto& gpu : cuda_devices()) out.push_back(std::move(gpu));
    return out;
  }

  result<pipelines::device_info> open_device(const pipelines::device& where,
                                             std::vector<std::string>& warnings) override {
    use_threads(where);
    if (where.type == pipelines::device::kind::cuda) return open_cuda(where);
    const auto blas = find_blas();
    if (auto advice = blas_advice(blas); !advice.empty()) warnings.push_back(std::move(advice));
    // Where the process has used up its memory there is nothing to measure with. OpenMP keeps a
    // pool for every thread that computes, and lets all pools wait asleep as soon as they have more
    // threads than there are cores: this one goes with its thread.
    const auto ms = std::async(std::launch::async, [&where] {
                      use_threads(where);
                      return guarded([]() -> result<double> { return time_matrix_product(); });
                    }).get();
    if (ms && *ms > slow_product_ms) {
      warnings.push_back(fmt::format(
          "a product of 512x512 matrices takes {:.0f} ms with {}; with OpenBLAS (openmp) on an "
          "idle machine it takes under 10",
          *ms, blas.name));
    }
    auto info = cpu_info();
    info.id = where.name();
    return info;
  }

  void limit_memory(std::uint64_t bytes) override { limit_tensor_memory(bytes); }

  result<std::shared_ptr<pipelines::model>> load_image_model(
      const std::filesystem::path& folder, const pipelines::device& where) override {
    return keep_model([&] { return lp::engine::load_image_model(folder, where); });
  }

  result<std::shared_ptr<pipelines::safety_classifier>> open_safety_checker(
      const std::filesystem::path& folder, const pipelines::device& where) override {
    return lp::engine::open_safety_checker(folder, where.low_memory);
  }

  result<void> convert_weights(const std::filesystem::path& from, const std::filesystem::path& to,
                               std::string_view dtype) override {
    return lp::engine::convert_weights(from, to, dtype);
  }

  result<void> unpack_checkpoint(const std::filesystem::path& file,
                                 const std::filesystem::path& folder,
                                 std::string_view dtype) override {
    return unpack_single_file(file, folder, dtype);
  }

  result<pipelines::picture> decode_picture(std::string_view file, pipelines::picture_form form,
                                            const pipelines::decode_limits& limits) override {
    if (form == pipelines::picture_form::mask) {
      auto mask = pipelines::decode_mask(file, limits);
      if (!mask) return fail(mask.error());
      return pipelines::picture{{}, mask->width, mask->height, 1, share(std::move(mask->pixels))};
    }
    auto image = pipelines::decode_image(file, limits);
    if (!image) return fail(image.error());
    return pipelines::picture{{}, image->width, image->height, 3, share(std::move(image->pixels))};
  }

 private:
  static result<pipelines::device_info> open_cuda(const pipelines::device& where) {
    const auto found = cuda_devices();
    const auto name = where.name();
    for (const auto& gpu : found) {
      if (gpu.id != name) continue;
      if (at::globalContext().hasCUDA() && has_torch_cuda()) return gpu;
      if (at::globalContext().hasCUDA())
        return fail(ec::bad_config,
                    fmt::format("device {}: {} is there, and so is a libtorch for it, but this "
                                "program was built without nvcc; use cpu, or build it with nvcc",
                                name, gpu.name));
      return fail(ec::bad_config,
                  fmt::format("device {}: {} is there, but this libtorch ({}) was built without "
                              "CUDA; use cpu, or a libtorch with CUDA",
                              name, gpu.name, TORCH_VERSION));
    }
    return fail(
        ec::bad_config,
        fmt::format(
            "device {}: no such GPU; CUDA: {}{}", name, cuda_state(),
            at::globalContext().hasCUDA() ? "" : "; and this libtorch was built without CUDA"));
  }
};

}  // namespace

}  // namespace lp::engine

extern "C" __attribute__((visibility("default"))) lp::pipelines::engine* lp_engine_instance() {
  static lp::engine::torch_engine instance;
  return &instance;
}
