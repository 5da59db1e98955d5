// SPDX-License-Identifier: MIT
#include "actors/model_pull.hpp"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>

#include <fmt/format.h>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value_to.hpp>

#include "pipelines/model_files.hpp"
#include "pipelines/model_index.hpp"
#include "pipelines/weights/tensor_names.hpp"
#include "runtime/base/bytes.hpp"
#include "runtime/base/files.hpp"

namespace lp::actors {

namespace fs = std::filesystem;
namespace json = boost::json;

namespace {

constexpr const char* manifest_name = ".hub.json";
// From the second on an empty file is one because the hub said so.
constexpr int manifest_version = 2;

const net::hub_file* find_file(const net::hub_listing& listing, const std::string& path) {
  for (const net::hub_file& f : listing.files) {
    if (f.path == path) return &f;
  }
  return nullptr;
}

result<std::vector<net::hub_file>> choose(const net::hub_client& hub, const net::hub_name& name,
                                          const net::hub_listing& listing,
                                          const std::string& variant) {
  std::string index;
  if (const net::hub_file* f = find_file(listing, pipelines::model_index_name)) {
    auto text = hub.read(name, *f);
    if (!text) return fail(std::move(text.error()));
    index = std::move(*text);
  }
  std::vector<std::string> paths;
  for (const net::hub_file& f : listing.files) paths.push_back(f.path);
  const auto needed = pipelines::needed_files(paths, index, variant);
  if (!needed) return fail(needed.error());
  std::vector<net::hub_file> out;
  for (const std::string& path : *needed) {
    const net::hub_file& file = *find_file(listing, path);
    auto known = hub.look_at(name, file);
    if (!known && !file.sized) return fail(std::move(known.error()));
    out.push_back(known ? std::move(*known) : file);
  }
  if (out.empty()) return fail(ec::not_found, fmt::format("{} holds no model", name.text()));
  return out;
}

result<void> check_room(const fs::path& folder, std::uint64_t needed) {
  std::error_code error;
  const fs::space_info room = fs::space(folder, error);
  if (error || room.available >= needed) return {};
  return fail(ec::out_of_memory,
              fmt::format("{}: the disk has {} free, the model takes {}", folder.string(),
                          human_bytes(room.available), human_bytes(needed)));
}

result<void> write_manifest(const fs::path& folder, const net::hub_name& name,
                            const net::hub_listing& listing,
                            const std::vector<net::hub_file>& files) {
  json::array list;
  for (const net::hub_file& f : files) {
    list.push_back(
        json::object{{"path", f.path}, {"size", f.size}, {"sha256", f.sha256}, {"git", f.git_sha}});
  }
  const json::object manifest{{"version", manifest_version},
                              {"repository", name.repository},
                              {"revision", name.revision},
                              {"commit", listing.commit},
                              {"files", std::move(list)}};
  return write_file(folder / manifest_name, json::serialize(manifest) + "\n");
}

result<std::vector<net::hub_file>> read_manifest(const fs::path& folder) {
  std::ifstream in(folder / manifest_name, std::ios::binary);
  if (!in) {
    return fail(ec::not_found, fmt::format("{}: was not pulled from a hub, there is no {}",
                                           folder.string(), manifest_name));
  }
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  boost::system::error_code bad;
  const json::value manifest = json::parse(text, bad);
  std::vector<net::hub_file> out;
  try {
    if (bad) throw boost::system::system_error(bad);
    const json::value* version = manifest.as_object().if_contains("version");
    for (const json::value& f : manifest.at("files").as_array()) {
      out.push_back(
          {json::value_to<std::string>(f.at("path")), f.at("size").to_number<std::uint64_t>(),
           json::value_to<std::string>(f.at("sha256")), json::value_to<std::string>(f.at("git"))});
      net::hub_file& last = out.back();
      last.sized = version != nullptr || last.size > 0 || last.has_digest();
    }
  } catch (const std::exception&) {
    return fail(ec::bad_file,
                fmt::format("{}/{}: not as it was written", folder.string(), manifest_name));
  }
  return out;
}

std::map<std::string, fs::path> find_twins(const fs::path& models) {
  std::map<std::string, fs::path> out;
  std::error_code bad;
  for (fs::recursive_directory_iterator it(models, bad), end; !bad && it != end;
       it.increment(bad)) {
    if (it->path().filename() != manifest_name) continue;
    const fs::path folder = it->path().parent_path();
    const auto files = read_manifest(folder);
    if (!files) continue;
    for (const net::hub_file& f : *files) {
      if (!f.sha256.empty()) out.emplace(f.sha256, folder / f.path);
    }
  }
  return out;
}

// Fetches the files one after the other, each in parallel ranges.
class model_download {
 public:
  model_download(const net::hub_client& hub, const net::hub_name& name, const pull_options& options,
                 const fs::path& folder, const cancel_token& stop)
      : hub_(hub), name_(name), options_(options), folder_(folder), stop_(stop) {}

  result<void> run(const std::vector<net::hub_file>& files) {
    for (const net::hub_file& f : files) state_.total += f.size;
    if (auto ok = check_room(folder_, missing(files)); !ok) return ok;
    for (const net::hub_file& f : files) {
      if (auto ok = fetch(f); !ok) return ok;
    }
    return {};
  }

 private:
  std::uint64_t missing(const std::vector<net::hub_file>& files) const {
    std::uint64_t sum = 0;
    std::error_code none;
    for (const net::hub_file& f : files) {
      if (fs::file_size(folder_ / f.path, none) != f.size) sum += f.size;
    }
    return sum;
  }

  result<void> fetch(const net::hub_file& file) {
    const fs::path target = folder_ / file.path;
    state_.file = file.path;
    const std::uint64_t before = state_.done;
    std::error_code error;
    fs::create_directories(target.parent_path(), error);
    if (error) {
      return fail(ec::bad_file, fmt::format("{}: {}", target.string(), error.message()));
    }
    const bool there = fs::file_size(target, error) == file.size && net::verify_file(target, file);
    if (!there && !take_twin(file, target)) {
      const auto tell = [&](std::uint64_t done, std::uint64_t) {
        state_.done = before + done;
        if (options_.progress) options_.progress(state_);
      };
      if (auto ok = hub_.download(name_, file, target, tell, stop_); !ok) return ok;
    }
    state_.done = before + file.size;
    if (options_.progress) options_.progress(state_);
    return {};
  }

  // A file of the same digest in another pulled model becomes this one too: on the disk, and in
  // memory when both are loaded, it is there once.
  bool take_twin(const net::hub_file& file, const fs::path& target) {
    if (file.sha256.empty()) return false;
    if (!twins_) twins_ = find_twins(options_.models);
    const auto it = twins_->find(file.sha256);
    if (it == twins_->end() || !net::verify_file(it->second, file)) return false;
    std::error_code error;
    fs::remove(target, error);
    fs::create_hard_link(it->second, target, error);
    return !error;
  }

  const net::hub_client& hub_;
  const net::hub_name& name_;
  const pull_options& options_;
  std::optional<std::map<std::string, fs::path>> twins_;  ///< large files here by digest
  const fs::path& folder_;
  const cancel_token& stop_;
  pull_state state_;
};

bool is_adapter(const fs::path& file) {
  const auto names = pipelines::read_tensor_names(file);
  if (!names) return false;
  return std::any_of(names->begin(), names->end(), [](const auto& entry) {
    const auto has = [&](const char* part) { return entry.first.find(part) != std::string::npos; };
    return has("lora_") || has(".lora") || has("hada_w") || has("lokr_w");
  });
}

// Requests ask for LoRA files by a name below "loras": that of a repository with one of them, too.
result<void> offer_adapter(const fs::path& models, const net::hub_name& name,
                           const fs::path& folder, const std::vector<net::hub_file>& files) {
  std::vector<fs::path> weights;
  for (const net::hub_file& f : files) {
    if (f.path == pipelines::model_index_name) return {};
    if (fs::path(f.path).extension() == ".safetensors") weights.push_back(folder / f.path);
  }
  if (weights.size() != 1 || !is_adapter(weights.front())) return {};
  const fs::path link = models / "loras" / (name.text() + ".safetensors");
  std::error_code error;
  fs::create_directories(link.parent_path(), error);
  fs::remove(link, error);
  fs::create_hard_link(weights.front(), link, error);
  if (error) fs::copy_file(weights.front(), link, error);
  if (!error) return {};
  return fail(ec::bad_file, fmt::format("{}: {}", link.string(), error.message()));
}

}  // namespace

net::hub_options hub_from_environment() {
  net::hub_options out;
  if (const char* endpoint = std::getenv("HF_ENDPOINT"); endpoint != nullptr && *endpoint != '\0') {
    out.endpoint = endpoint;
  }
  if (const char* token = std::getenv("HF_TOKEN")) out.token = token;
  for (const char* name : {"REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"}) {
    const char* file = std::getenv(name);
    if (file != nullptr && out.tls.authority.empty()) out.tls.authority = file;
  }
  return out;
}

result<fs::path> pull_model(const net::hub_name& name, const pull_options& options,
                            const cancel_token& stop) {
  const net::hub_client hub(options.hub);
  const auto listing = hub.list(name);
  if (!listing) return fail(listing.error());
  const auto files = choose(hub, name, *listing, options.variant);
  if (!files) return fail(files.error());
  const fs::path folder = options.models / name.text();
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) return fail(ec::bad_file, fmt::format("{}: {}", folder.string(), error.message()));
  auto done = model_download(hub, name, options, folder, stop).run(*files);
  if (!done) return fail(std::move(done.error()));
  if (auto ok = write_manifest(folder, name, *listing, *files); !ok) return fail(ok.error());
  if (auto ok = offer_adapter(options.models, name, folder, *files); !ok) return fail(ok.error());
  return folder;
}

result<verification> verify_model(const fs::path& folder) {
  const auto files = read_manifest(folder);
  if (!files) return fail(files.error());
  verification out;
  out.files = files->size();
  for (const net::hub_file& f : *files) {
    auto ok = net::verify_file(folder / f.path, f);
    if (!ok)
      out.wrong.push_back(std::move(ok.error().message));
    else if (!f.has_digest())
      out.by_size_alone.push_back(f.path);
  }
  return out;
}

}  // namespace lp::actors
