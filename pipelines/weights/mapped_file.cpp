// SPDX-License-Identifier: MIT
#include "pipelines/weights/mapped_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pipelines/weights/foreign_file.hpp"

namespace lp::pipelines {

result<std::shared_ptr<mapped_file>> mapped_file::open(const std::filesystem::path& path,
                                                       bool ahead) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat info {};
  if (fd < 0 || ::fstat(fd, &info) != 0 || info.st_size <= 0) {
    if (fd >= 0) ::close(fd);
    return fail(ec::bad_file, told_of_file(path, "cannot be read"));
  }
  const auto size = static_cast<std::size_t>(info.st_size);
  auto* const start = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
  if (ahead) ::posix_fadvise(fd, 0, 0, POSIX_FADV_WILLNEED);
  ::close(fd);
  if (start == MAP_FAILED) {
    return fail(ec::bad_file, fmt::format("{}: cannot be mapped", path.string()));
  }
  return std::shared_ptr<mapped_file>(new mapped_file(static_cast<char*>(start), size, path));
}

mapped_file::mapping::~mapping() {
  ::munmap(start, size);
}

}  // namespace lp::pipelines
