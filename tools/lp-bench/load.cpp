// SPDX-License-Identifier: MIT
#include "tools/lp-bench/load.hpp"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <functional>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include <ATen/Parallel.h>
#include <fmt/core.h>
#include <CLI/CLI.hpp>

#include "pipelines/engine/safetensors.hpp"
#include "pipelines/engine/stable_diffusion.hpp"
#include "pipelines/weights/part_weights.hpp"
#include "runtime/base/bytes.hpp"
#include "runtime/base/clock.hpp"
#include "tools/lp-bench/random_model.hpp"
#include "tools/lp-bench/scratch_folder.hpp"

namespace lp::bench {

namespace {

// The bars, as shares of the bandwidth of reading the same bytes: weights that are used as they
// are, and a usable model, whose convolutions have been put into another order.
constexpr double mapped_bar = 0.8;
constexpr double bar = 0.5;

// The weights that are loaded of a folder's parts, as far as they are safetensors. The safety
// checker loads with the first picture.
std::vector<std::filesystem::path> files_of(const std::string& folder) {
  std::vector<std::filesystem::path> out;
  std::error_code bad;
  for (std::filesystem::directory_iterator it(folder, bad), end; !bad && it != end;
       it.increment(bad)) {
    if (it->path().filename() == "safety_checker") continue;
    for (auto& file : pipelines::weight_files(it->path())) {
      if (file.extension() == ".safetensors") out.push_back(std::move(file));
    }
  }
  return out;
}

// Reads all files into one buffer, as a loader that copies would.
std::uint64_t read_all(const std::vector<std::filesystem::path>& files, std::string& buffer) {
  std::uint64_t sum = 0;
  for (const auto& file : files) {
    const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
    for (;;) {
      const ssize_t got = ::read(fd, buffer.data(), buffer.size());
      if (got <= 0) break;
      sum += static_cast<std::uint64_t>(got);
    }
    ::close(fd);
  }
  return sum;
}

double best_ms(
    int rounds, const std::function<void()>& work, const std::function<void()>& before = [] {}) {
  double best = 1e300;
  for (int i = 0; i < rounds; ++i) {
    before();
    const time_point start = clock::now();
    work();
    best = std::min(best, to_ms(clock::now() - start));
  }
  return best;
}

double first_tensor_ms(const load_options& o, const std::filesystem::path& file) {
  return best_ms(o.rounds, [&] {
    const auto f = engine::safetensors_file::open(file);
    if (f && !(*f)->tensors().empty()) {
      const auto t = (*f)->load((*f)->tensors().begin()->first);
      if (t) (void)t->data_ptr();
    }
  });
}

// Maps every file as the loader does and reads every byte of every tensor where it lies, all but a
// rest of up to seven.
void map_all(const std::vector<std::filesystem::path>& files, std::uint64_t& sum) {
  for (const auto& file : files) {
    const auto f = engine::safetensors_file::open(file);
    if (!f) continue;
    (*f)->read_ahead();
    for (const auto& [name, info] : (*f)->tensors()) {
      const auto t = (*f)->load(name);
      if (!t) continue;
      const auto* bytes = static_cast<const char*>(t->data_ptr());
      const std::size_t words = t->nbytes() / sizeof(std::uint64_t);
      for (std::size_t i = 0; i < words; ++i) {
        std::uint64_t word = 0;
        std::memcpy(&word, bytes + i * sizeof(word), sizeof(word));
        sum += word;
      }
    }
  }
}

// Drops the files' pages, so that the next reading is the disk's.
void forget(const std::vector<std::filesystem::path>& files) {
  for (const auto& file : files) {
    const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
    ::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    ::close(fd);
  }
}

}  // namespace

void add_load_options(CLI::App& command, load_options& options) {
  command.add_option("model", options.model, "A model folder in the Diffusers layout")->required();
  command.add_option("--dtype", options.dtype, "Weights as fp32 or bf16")
      ->check(CLI::IsMember({"fp32", "bf16"}));
  command.add_flag("--cold", options.cold,
                   "From the disk: drops the files' pages before each count");
  command.add_flag("--random", options.random,
                   "With random weights where a part has none, in a temporary folder (TMPDIR)");
  command.add_option("--rounds", options.rounds, "The best of so many counts")
      ->check(CLI::Range(1, 1000));
}

namespace {

int complain(const error& e) {
  fmt::print(stderr, "lp-bench: {}\n", e.message);
  return EXIT_FAILURE;
}

int measure(const load_options& o) {
  const auto files = files_of(o.model);
  if (files.empty()) {
    fmt::print(stderr, "lp-bench: no .safetensors file below {}\n", o.model);
    return EXIT_FAILURE;
  }
  std::string buffer(64 << 20, '\0');
  std::uint64_t bytes = read_all(files, buffer);  // also warms the page cache
  const std::function<void()> before = [&] {
    if (o.cold) forget(files);
  };
  const double read = best_ms(
      o.rounds, [&] { bytes = read_all(files, buffer); }, before);
  std::uint64_t touched = 0;
  const double mapped = best_ms(
      o.rounds, [&] { map_all(files, touched); }, before);
  const double first = first_tensor_ms(o, files.front());
  std::uint64_t held = 0;
  error why;
  double early = 1e300;
  const auto load_model = [&] {
    const time_point start = clock::now();
    engine::stable_diffusion_options options;
    using precision = engine::weight_precision;
    options.precision = o.dtype == "bf16" ? precision::bf16 : precision::fp32;
    const auto model = engine::stable_diffusion::load(o.model, options);
    if (!model) {
      why = model.error();
      return;
    }
    early = std::min(early, to_ms(clock::now() - start));
    (*model)->wait_until_packed();
    held = (*model)->bytes();
  };
  const double load = best_ms(o.rounds, load_model, before);
  if (why.code != ec::none) return complain(why);
  const auto row = [bytes](const char* what, double ms) {
    fmt::print("{:<34} {:>9.2f} ms {:>9.1f} MiB/s\n", what, ms,
               static_cast<double>(bytes) / 1048576 / (ms / 1000));
  };
  fmt::print("{} in {} files, {} in memory as {}\n", human_bytes(bytes), files.size(),
             human_bytes(held), o.dtype);
  row(o.cold ? "read from the disk" : "read from the page cache", read);
  row("every byte used where it is mapped", mapped);
  fmt::print("{:<34} {:>9.2f} ms\n", "to the first tensor", first);
  row("until prompts can be encoded", early);
  row("to a usable model", load);
  // Keeps the sum alive: without a use of it nothing would be read.
  fmt::print("mapped / read bandwidth: {:.2f} (bar {}); bytes sum up to {:x}\n", read / mapped,
             mapped_bar, touched);
  fmt::print("usable / read bandwidth: {:.2f} (bar {})\n", read / load, bar);
  return EXIT_SUCCESS;
}

}  // namespace

int bench_load(const load_options& options) {
  at::set_num_threads(static_cast<int>(std::thread::hardware_concurrency()));
  if (!options.random) return measure(options);
  const scratch_folder scratch;
  load_options o = options;
  o.model = (scratch.path() / "model").string();
  if (auto ok = mirror_model(options.model, o.model); !ok) return complain(ok.error());
  if (auto ok = write_random_weights(o.model, o.dtype == "bf16"); !ok) return complain(ok.error());
  return measure(o);
}

}  // namespace lp::bench
