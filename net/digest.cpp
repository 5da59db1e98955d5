// SPDX-License-Identifier: MIT
#include "net/digest.hpp"

#include <array>
#include <fstream>
#include <memory>
#include <vector>

#include <fmt/format.h>
#include <openssl/evp.h>

#include "runtime/base/bytes.hpp"

namespace lp::net {

namespace {

struct free_context {
  void operator()(EVP_MD_CTX* c) const { EVP_MD_CTX_free(c); }
};

constexpr std::size_t read_size = 1 << 20;

}  // namespace

std::string sha256(std::string_view bytes) {
  std::string out(static_cast<std::size_t>(EVP_MD_size(EVP_sha256())), '\0');
  EVP_Digest(bytes.data(), bytes.size(), reinterpret_cast<unsigned char*>(out.data()), nullptr,
             EVP_sha256(), nullptr);
  return out;
}

result<std::string> digest_of(const std::filesystem::path& file, digest_kind kind) {
  const auto unreadable = [&] {
    return fail(ec::bad_file, fmt::format("{}: cannot be read", file.string()));
  };
  std::error_code error;
  const auto size = std::filesystem::file_size(file, error);
  std::ifstream in(file, std::ios::binary);
  if (error || !in) return unreadable();
  const std::unique_ptr<EVP_MD_CTX, free_context> context(EVP_MD_CTX_new());
  const bool git = kind == digest_kind::git_blob;
  if (!context || EVP_DigestInit_ex(context.get(), git ? EVP_sha1() : EVP_sha256(), nullptr) != 1) {
    return fail(ec::internal, "OpenSSL has no such digest");
  }
  if (git) {
    const std::string head = fmt::format("blob {}", size);
    EVP_DigestUpdate(context.get(), head.c_str(), head.size() + 1);
  }
  std::vector<char> buffer(read_size);
  while (in.read(buffer.data(), read_size), in.gcount() > 0) {
    EVP_DigestUpdate(context.get(), buffer.data(), static_cast<std::size_t>(in.gcount()));
  }
  if (in.bad()) return unreadable();
  std::array<unsigned char, EVP_MAX_MD_SIZE> out{};
  unsigned length = 0;
  EVP_DigestFinal_ex(context.get(), out.data(), &length);
  return to_hex({reinterpret_cast<const char*>(out.data()), length});
}

}  // namespace lp::net
