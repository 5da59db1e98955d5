// SPDX-License-Identifier: MIT
// The part of the keystore that touches the file system and the terminal.
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>

#include <fcntl.h>
#include <openssl/crypto.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include <fmt/chrono.h>
#include <fmt/core.h>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>

#include "payments/keystore.hpp"
#include "runtime/base/byte_order_mark.hpp"
#include "runtime/base/files.hpp"

namespace lp::payments {

namespace fs = std::filesystem;
namespace json = boost::json;

namespace {

constexpr std::size_t largest_file = 64 * 1024;
constexpr std::size_t longest_passphrase = 1024;

struct descriptor {
  int fd;
  ~descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

tl::unexpected<error> unusable(const fs::path& file, std::string_view what) {
  return fail(ec::bad_file, fmt::format("{}: {}", file.string(), what));
}

// `private_only`: nobody but the owner may read or write it.
result<std::string> read_small(const fs::path& file, bool private_only) {
  const descriptor in{::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY)};
  struct stat s {};
  if (in.fd < 0 || ::fstat(in.fd, &s) != 0) return unusable(file, std::strerror(errno));
  if (S_ISDIR(s.st_mode)) return unusable(file, "expected a file, this is a folder");
  if (private_only && (s.st_mode & 077) != 0) {
    return unusable(file, "others may read it; expected permissions 0600 (chmod 600)");
  }
  std::string out;
  char buffer[4096];
  for (;;) {
    const ssize_t n = ::read(in.fd, buffer, sizeof(buffer));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return unusable(file, std::strerror(errno));
    if (n == 0) break;
    out.append(buffer, static_cast<std::size_t>(n));
    if (out.size() > largest_file) return unusable(file, "expected at most 64 KiB");
  }
  OPENSSL_cleanse(buffer, sizeof(buffer));
  return out;
}

// A line from the terminal, not shown while it is typed.
bool ask(const std::string& prompt, std::string& out) {
  const descriptor terminal{::open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY)};
  termios before{};
  if (terminal.fd < 0 || ::tcgetattr(terminal.fd, &before) != 0) return false;
  termios quiet = before;
  quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO);
  ::tcsetattr(terminal.fd, TCSAFLUSH, &quiet);
  const std::string shown = prompt + ": ";
  bool ok = ::write(terminal.fd, shown.data(), shown.size()) > 0;
  char c = 0;
  while (ok && out.size() < longest_passphrase && ::read(terminal.fd, &c, 1) == 1 && c != '\n') {
    out.push_back(c);
  }
  ::tcsetattr(terminal.fd, TCSAFLUSH, &before);
  ok = ok && ::write(terminal.fd, "\n", 1) == 1;
  return ok;
}

std::string first_line(std::string text) {
  const auto end = text.find_first_of("\r\n");
  if (end == std::string::npos) return text;
  OPENSSL_cleanse(text.data() + end, text.size() - end);
  text.resize(end);
  return text;
}

}  // namespace

result<fs::path> store_key(const fs::path& folder, const private_key& key, const passphrase& secret,
                           scrypt_cost cost) {
  const auto text = encrypt_key(key, secret, cost);
  if (!text) return fail(text.error());
  if (auto made = make_private_folder(folder); !made) return fail(made.error());
  const auto now =
      std::chrono::time_point_cast<std::chrono::seconds>(std::chrono::system_clock::now());
  const fs::path file =
      folder / fmt::format("UTC--{:%Y-%m-%dT%H-%M-%S}Z--{}", now, key.address().hex());
  const auto made = create_file(file, *text, file_access::owner);
  if (!made) return fail(made.error());
  if (!*made) return unusable(file, "is there already");
  return file;
}

result<private_key> load_key(const fs::path& file, const passphrase& secret) {
  const auto text = read_small(file, true);
  if (!text) return fail(text.error());
  return decrypt_key(*text, secret, file.string());
}

result<std::vector<key_file>> list_keys(const fs::path& folder) {
  std::vector<key_file> out;
  std::error_code error;
  if (!fs::exists(folder, error)) return out;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (!it->is_regular_file(error)) continue;
    const auto text = read_small(it->path(), false);
    if (!text) continue;
    json::error_code bad;
    const json::value parsed = json::parse(without_mark(*text), bad);
    if (bad || !parsed.is_object()) continue;
    const json::value* given = parsed.get_object().if_contains("address");
    if (!given || !given->is_string()) continue;
    if (auto a = from_hex<address>(std::string_view(given->get_string()), "address")) {
      out.push_back({it->path(), *a});
    }
  }
  if (error) return unusable(folder, error.message());
  std::sort(out.begin(), out.end(),
            [](const key_file& a, const key_file& b) { return a.path < b.path; });
  return out;
}

result<passphrase> read_passphrase(const passphrase_source& from) {
  const auto taken = [&](passphrase given, std::string_view where) -> result<passphrase> {
    if (from.may_be_empty || !given.view().empty()) return given;
    return fail(ec::bad_file, fmt::format("{}: expected a passphrase, it is empty", where));
  };
  if (!from.file.empty()) {
    auto text = read_small(from.file, false);
    if (!text) return fail(text.error());
    return taken(passphrase(first_line(std::move(*text))), from.file + ": the first line");
  }
  if (const char* given =
          from.environment.empty() ? nullptr : std::getenv(from.environment.c_str())) {
    return taken(passphrase(given), from.environment);
  }
  std::string typed;
  typed.reserve(longest_passphrase);  // so that no copy is left behind
  if (!from.prompt.empty() && ask(from.prompt, typed)) {
    passphrase out(std::move(typed));
    if (!from.twice) return taken(std::move(out), from.prompt);
    std::string again;
    again.reserve(longest_passphrase);
    const bool answered = ask(from.prompt + " (again)", again);
    const passphrase second(std::move(again));
    if (answered && second.view() == out.view()) return taken(std::move(out), from.prompt);
    return fail(ec::unauthorized, "the two passphrases differ");
  }
  return fail(ec::unauthorized,
              fmt::format("no passphrase: expected one from a file, in {} or on the terminal",
                          from.environment));
}

}  // namespace lp::payments
