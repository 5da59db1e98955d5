// SPDX-License-Identifier: MIT
#include "net/hub_parts.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>

#include <fcntl.h>
#include <unistd.h>

#include <fmt/format.h>

namespace lp::net {

namespace fs = std::filesystem;

namespace {

fs::path with_ending(fs::path path, const char* ending) {
  path += ending;
  return path;
}

tl::unexpected<error> unwritable(const fs::path& path) {
  return fail(ec::bad_file,
              fmt::format("{}: cannot be written: {}", path.string(), std::strerror(errno)));
}

std::string read_all(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

result<std::unique_ptr<hub_parts>> hub_parts::open(const fs::path& target,
                                                   const std::string& identity, std::uint64_t size,
                                                   std::uint64_t part_bytes) {
  std::unique_ptr<hub_parts> out(new hub_parts);
  out->file_ = with_ending(target, ".part");
  out->ranges_ = with_ending(target, ".ranges");
  out->head_ = fmt::format("{} {} {}\n", identity, size, part_bytes);
  out->size_ = size;
  out->part_bytes_ = part_bytes;
  const auto count = static_cast<std::size_t>((size + part_bytes - 1) / part_bytes);
  const std::string known = read_all(out->ranges_);
  const bool same = known.size() == out->head_.size() + count && known.starts_with(out->head_);
  out->state_ = same ? known.substr(out->head_.size()) : std::string(count, '.');
  std::replace(out->state_.begin(), out->state_.end(), '~', '.');
  out->fd_ = ::open(out->file_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (out->fd_ < 0) return unwritable(out->file_);
  const off_t had = ::lseek(out->fd_, 0, SEEK_END);
  // A list without its file means nothing.
  if (static_cast<std::uint64_t>(had) != size) {
    std::fill(out->state_.begin(), out->state_.end(), '.');
    if (::ftruncate(out->fd_, static_cast<off_t>(size)) != 0) return unwritable(out->file_);
  }
  for (std::size_t i = 0; i < count; ++i) {
    if (out->state_[i] == '#') out->done_ += std::min(part_bytes, size - i * part_bytes);
  }
  return out;
}

hub_parts::~hub_parts() {
  if (fd_ >= 0) ::close(fd_);
}

std::optional<hub_parts::range> hub_parts::take() {
  const std::lock_guard lock(mutex_);
  const std::size_t index = state_.find('.');
  if (index == std::string::npos) return std::nullopt;
  state_[index] = '~';
  const std::uint64_t offset = index * part_bytes_;
  return range{index, offset, std::min(part_bytes_, size_ - offset)};
}

void hub_parts::give_back(const range& r) {
  const std::lock_guard lock(mutex_);
  state_[r.index] = '.';
}

result<void> hub_parts::store(const range& r, std::string_view bytes) {
  for (std::size_t at = 0; at < bytes.size();) {
    const ssize_t n =
        ::pwrite(fd_, bytes.data() + at, bytes.size() - at, static_cast<off_t>(r.offset + at));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return unwritable(file_);
    at += static_cast<std::size_t>(n);
  }
  const std::lock_guard lock(mutex_);
  state_[r.index] = '#';
  done_ += bytes.size();
  return note();
}

std::uint64_t hub_parts::done() const {
  const std::lock_guard lock(mutex_);
  return done_;
}

result<void> hub_parts::note() {
  std::ofstream out(ranges_, std::ios::binary | std::ios::trunc);
  out << head_ << state_;
  out.flush();
  if (!out) return unwritable(ranges_);
  return {};
}

void hub_parts::discard() {
  std::error_code ignored;
  fs::remove(file_, ignored);
  fs::remove(ranges_, ignored);
}

result<void> hub_parts::finish(const fs::path& target) {
  std::error_code error;
  if (::fsync(fd_) != 0) return unwritable(file_);
  fs::rename(file_, target, error);
  if (error) {
    return fail(ec::bad_file, fmt::format("{}: {}", target.string(), error.message()));
  }
  fs::remove(ranges_, error);
  return {};
}

}  // namespace lp::net
