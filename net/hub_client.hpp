// SPDX-License-Identifier: MIT
// Downloads from a hub of models that speaks Hugging Face's HTTP interface: the list of a
// repository's files and the files themselves, in parallel ranges that are resumed after any break.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "net/tls_session.hpp"
#include "runtime/base/cancel.hpp"
#include "runtime/base/clock.hpp"
#include "runtime/base/error.hpp"

namespace lp::net {

/// "owner/name" or "owner/name@revision"; the revision is "main" unless given. It may have steps
/// as "refs/pr/11" has.
struct hub_name {
  std::string repository;
  std::string revision = "main";

  /// "owner/name", with "@revision" unless that is main: also the folder's path below the models.
  std::string text() const { return revision == "main" ? repository : repository + "@" + revision; }
};

/// Accepts an "hf://" in front. ec::bad_config for anything that could lead out of a folder.
result<hub_name> parse_hub_name(std::string_view text);

struct hub_options {
  std::string endpoint = "https://huggingface.co";  ///< or a mirror; may have a path
  std::string token;                                ///< sent to the endpoint's host alone
  tls_options tls;
  unsigned connections = 4;               ///< ranges under way at once
  std::uint64_t part_bytes = 8ULL << 20;  ///< of a range
  unsigned tries = 6;                     ///< of a range, one after the other, before giving up
  milliseconds first_pause{500};          ///< before the second try; doubles with each
  milliseconds longest_pause{30'000};     ///< also of what the hub asks for with Retry-After
  milliseconds part_timeout{120'000};     ///< for one range
};

struct hub_file {
  std::string path;  ///< below the repository, never leading out of it
  std::uint64_t size = 0;
  std::string sha256;   ///< of large files; empty otherwise
  std::string git_sha;  ///< of small ones: SHA-1 as Git counts it; may be empty
  bool sized = true;    ///< whether `size` is known: some mirrors leave it out of their lists

  bool has_digest() const { return !sha256.empty() || !git_sha.empty(); }
};

struct hub_listing {
  std::string commit;  ///< what the revision stands for now
  std::vector<hub_file> files;
};

/// Told every few hundred kilobytes, from one of several threads but never from two at once.
using hub_progress = std::function<void(std::uint64_t done, std::uint64_t total)>;

class hub_client {
 public:
  explicit hub_client(hub_options options) : options_(std::move(options)) {}

  /// ec::not_found for an unknown repository or revision, ec::unauthorized where a token is needed
  /// or wrong, ec::unavailable after the last try.
  result<hub_listing> list(const hub_name& name) const;

  /// The file with what its list left out and the hub tells on request: its size, and where it can
  /// be had its digest. ec::unavailable where nothing tells the size.
  result<hub_file> look_at(const hub_name& name, const hub_file& file) const;

  /// A small file's content, at most 8 MiB.
  result<std::string> read(const hub_name& name, const hub_file& file) const;

  /// Downloads to `target`, whose folder must exist. What has arrived is kept in "target.part" with
  /// its list of ranges in "target.ranges", and a later call goes on from there. What the list left
  /// out is asked for first. The file gets its
  /// name only when its digest is right; ec::bad_file otherwise, and nothing is kept. Waits are
  /// bounded by the options; ec::cancelled soon after `stop` is raised.
  result<void> download(const hub_name& name, const hub_file& file,
                        const std::filesystem::path& target, const hub_progress& progress,
                        const cancel_token& stop) const;

 private:
  hub_options options_;
};

/// Whether the file has the size and the digest that the hub named; ec::bad_file says what differs.
/// A file of which neither is known is never right. Without a digest the size alone is compared.
result<void> verify_file(const std::filesystem::path& path, const hub_file& file);

}  // namespace lp::net
