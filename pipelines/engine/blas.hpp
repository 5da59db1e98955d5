// SPDX-License-Identifier: MIT
// Which BLAS does the matrix products: the largest single factor of the CPU's speed.
#pragma once

#include <filesystem>
#include <string>

namespace lp::engine {

enum class blas_kind { reference, openblas_pthread, openblas_openmp, openblas_serial, other };

struct blas_library {
  blas_kind kind = blas_kind::other;
  std::string name;            ///< "OpenBLAS (openmp)"
  std::filesystem::path file;  ///< empty if not found
};

/// The library that this process's libtorch calls.
blas_library find_blas();

/// The kind that a library's resolved path tells, as Debian lays them out.
blas_library blas_of(const std::filesystem::path& file);

/// What an operator should mend, in words, or "".
std::string blas_advice(const blas_library& library);

/// Milliseconds of a product of two 512 x 512 matrices: the best of a few.
double time_matrix_product();

}  // namespace lp::engine
