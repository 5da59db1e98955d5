// SPDX-License-Identifier: MIT
#include "runtime/library_messages.hpp"

#include <cstddef>
#include <iostream>
#include <mutex>
#include <streambuf>
#include <string>
#include <string_view>
#include <utility>

#include <google/protobuf/stubs/logging.h>

#include "runtime/base/log.hpp"
#include "runtime/base/log_limit.hpp"

namespace lp::runtime {

namespace {

constexpr std::size_t longest_line = 2000;
/// Messages that begin alike are one, whatever numbers and bytes follow.
constexpr std::size_t key_length = 40;

void tell(std::string_view library, std::string_view text) {
  if (text.empty()) return;
  log::sparingly(log::level::warn, library, text.substr(0, key_length), "{}",
                 text.substr(0, longest_line));
}

/// Gathers lines of all threads that write to one stream.
class line_log final : public std::streambuf {
 protected:
  int_type overflow(int_type c) override {
    if (!traits_type::eq_int_type(c, traits_type::eof())) {
      const char one = traits_type::to_char_type(c);
      xsputn(&one, 1);
    }
    return traits_type::not_eof(c);
  }

  std::streamsize xsputn(const char* bytes, std::streamsize count) override {
    const std::lock_guard lock(mutex_);
    for (const char c : std::string_view(bytes, static_cast<std::size_t>(count))) {
      if (c == '\n') {
        tell("library", std::exchange(line_, {}));
      } else if (line_.size() < longest_line) {
        line_ += c;
      }
    }
    return count;
  }

 private:
  std::mutex mutex_;
  std::string line_;
};

void tell_protobuf(google::protobuf::LogLevel, const char*, int, const std::string& text) {
  tell("protobuf", text);
}

}  // namespace

void log_library_messages() {
  // Never freed: libraries print until the process ends.
  static auto* const lines = [] {
    google::protobuf::SetLogHandler(tell_protobuf);
    auto* const all = new line_log;
    for (std::ostream* stream : {&std::cerr, &std::clog, &std::cout}) stream->rdbuf(all);
    return all;
  }();
  static_cast<void>(lines);
}

}  // namespace lp::runtime
