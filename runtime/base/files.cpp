// SPDX-License-Identifier: MIT
#include "runtime/base/files.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/core.h>

#include "runtime/base/bytes.hpp"

namespace lp {

namespace fs = std::filesystem;

namespace {

tl::unexpected<error> refused(const fs::path& path, int code) {
  return fail(ec::bad_file, fmt::format("{}: {}", path.string(), std::strerror(code)));
}

struct descriptor {
  int fd;
  ~descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

bool write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

result<void> write_directly(const fs::path& file, std::string_view bytes) {
  const descriptor out{::open(file.c_str(), O_WRONLY | O_CLOEXEC | O_NOCTTY)};
  if (out.fd >= 0 && write_all(out.fd, bytes)) return {};
  return refused(file, errno);
}

// A rename is on the disk once its folder is. Some file systems cannot do that, and lose nothing.
void sync_folder(const fs::path& folder) {
  const descriptor in{::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (in.fd >= 0) (void)::fsync(in.fd);
}

// Zero, or errno. Where a file system knows no exclusive rename, a second name does the same.
int put_in_place(const fs::path& from, const fs::path& to, bool replace) {
  if (replace) return ::rename(from.c_str(), to.c_str()) == 0 ? 0 : errno;
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return 0;
  if (errno != EINVAL && errno != ENOSYS) return errno;
  if (::link(from.c_str(), to.c_str()) != 0) return errno;
  ::unlink(from.c_str());
  return 0;
}

// Zero, or errno. `mode`: of the new file whatever the umask says; none: as the umask has it.
int write_and_rename(const fs::path& file, std::string_view bytes, std::optional<mode_t> mode,
                     bool replace) {
  const fs::path folder = file.has_parent_path() ? file.parent_path() : fs::path(".");
  // A short name: the file's own may be as long as a file system takes.
  const fs::path temporary = folder / fmt::format(".{}.tmp", random_hex(8));
  const descriptor out{::open(
      temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode ? 0600 : 0666)};
  if (out.fd < 0) return errno;
  const bool good =
      (!mode || ::fchmod(out.fd, *mode) == 0) && write_all(out.fd, bytes) && ::fsync(out.fd) == 0;
  int failure = good ? 0 : errno;
  if (failure == 0) failure = put_in_place(temporary, file, replace);
  if (failure != 0) {
    ::unlink(temporary.c_str());
  } else {
    sync_folder(folder);
  }
  return failure;
}

}  // namespace

result<void> write_file(const fs::path& file, std::string_view bytes, file_access access) {
  std::error_code bad;
  fs::path target = file;
  if (fs::is_symlink(file, bad)) {
    auto real = fs::weakly_canonical(file, bad);
    if (!bad) target = std::move(real);
  }
  struct stat old {};
  const bool there = ::stat(target.c_str(), &old) == 0;
  if (there && S_ISDIR(old.st_mode)) return refused(file, EISDIR);
  if (there && !S_ISREG(old.st_mode)) return write_directly(target, bytes);
  std::optional<mode_t> mode;
  if (there) mode = old.st_mode & 0777;
  if (access == file_access::owner) mode = 0600;
  const int failure = write_and_rename(target, bytes, mode, true);
  if (failure != 0) return refused(file, failure);
  return {};
}

result<bool> create_file(const fs::path& file, std::string_view bytes, file_access access) {
  std::optional<mode_t> mode;
  if (access == file_access::owner) mode = 0600;
  const int failure = write_and_rename(file, bytes, mode, false);
  if (failure == EEXIST) return false;
  if (failure != 0) return refused(file, failure);
  return true;
}

result<void> make_private_folder(const fs::path& folder) {
  fs::path so_far;
  for (const fs::path& part : folder) {
    so_far /= part;
    if (part.empty() || ::mkdir(so_far.c_str(), 0700) == 0 || errno == EEXIST) continue;
    // A folder that may not be written to, or is on a disk of its own, may be there all the same.
    const int code = errno;
    std::error_code none;
    if (!fs::exists(so_far, none)) return refused(so_far, code);
  }
  std::error_code none;
  if (fs::is_directory(folder, none)) return {};
  return refused(folder, ENOTDIR);
}

bool lies_below(const fs::path& file, const fs::path& folder) {
  std::error_code bad;
  const fs::path inner = fs::weakly_canonical(fs::absolute(file), bad);
  const fs::path outer = fs::weakly_canonical(fs::absolute(folder), bad);
  if (bad) return false;
  const auto [o, i] = std::mismatch(outer.begin(), outer.end(), inner.begin(), inner.end());
  // "folder/" ends with an empty part.
  return (o == outer.end() || (o->empty() && std::next(o) == outer.end())) && i != inner.end();
}

}  // namespace lp
