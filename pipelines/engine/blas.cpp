// SPDX-License-Identifier: MIT
#include "pipelines/engine/blas.hpp"

#include <algorithm>
#include <string_view>

#include <ATen/ops/mm.h>
#include <ATen/ops/ones.h>
#include <c10/core/InferenceMode.h>
#include <dlfcn.h>
#include <fmt/format.h>

#include "runtime/base/clock.hpp"

namespace lp::engine {

namespace {

constexpr std::string_view remedy = "install libopenblas0-openmp (tools/setup does)";

}  // namespace

blas_library find_blas() {
  // Found as libtorch finds it: in the order of this library's own dependencies.
  void* const symbol = ::dlsym(RTLD_DEFAULT, "sgemm_");
  Dl_info found{};
  if (symbol == nullptr || ::dladdr(symbol, &found) == 0 || found.dli_fname == nullptr)
    return {blas_kind::other, "BLAS not found", {}};
  std::error_code error;
  const std::filesystem::path named(found.dli_fname);
  const auto resolved = std::filesystem::canonical(named, error);
  return blas_of(error ? named : resolved);
}

blas_library blas_of(const std::filesystem::path& file) {
  const auto text = file.string();
  const auto has = [&](std::string_view part) { return text.find(part) != text.npos; };
  if (has("openblas-openmp")) return {blas_kind::openblas_openmp, "OpenBLAS (openmp)", file};
  if (has("openblas-pthread")) return {blas_kind::openblas_pthread, "OpenBLAS (pthread)", file};
  if (has("openblas-serial")) return {blas_kind::openblas_serial, "OpenBLAS (serial)", file};
  if (has("/blas/libblas")) return {blas_kind::reference, "reference BLAS", file};
  return {blas_kind::other, file.filename().string(), file};
}

std::string blas_advice(const blas_library& library) {
  switch (library.kind) {
    case blas_kind::reference:
      return fmt::format(
          "{} is the reference BLAS, which is about 60 times slower than OpenBLAS; {}",
          library.file.string(), remedy);
    case blas_kind::openblas_pthread:
      return fmt::format(
          "{} is OpenBLAS with threads of its own, which can make pictures up to 6 "
          "times slower; {}",
          library.file.string(), remedy);
    case blas_kind::openblas_serial:
      return fmt::format("{} is OpenBLAS for one thread only; {}", library.file.string(), remedy);
    default:
      return {};
  }
}

double time_matrix_product() {
  const c10::InferenceMode no_gradients;
  const auto a = at::ones({512, 512});
  double best = 1e9;
  for (int i = 0; i < 3; ++i) {
    const auto start = clock::now();
    (void)at::mm(a, a);
    best = std::min(best, to_ms(clock::now() - start));
  }
  return best;
}

}  // namespace lp::engine
