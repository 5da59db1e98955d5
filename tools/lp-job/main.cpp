// SPDX-License-Identifier: MIT
// lp-job sends one job to a gateway, saves the files of the answer and tells how it came about.
#include <filesystem>
#include <fstream>
#include <iostream>

#include <sys/ioctl.h>
#include <unistd.h>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <CLI/CLI.hpp>
#include <boost/json/serialize.hpp>

#include "tools/command_line.hpp"
#include "tools/lp-job/answer.hpp"
#include "tools/lp-job/half_blocks.hpp"
#include "tools/lp-job/options.hpp"
#include "tools/lp-job/picture.hpp"
#include "tools/lp-job/submit.hpp"

namespace lp::job {
namespace {

namespace json = boost::json;
namespace fs = std::filesystem;

struct options {
  std::string url = "http://127.0.0.1:9935";
  std::string token;
  std::string out = "picture.png";
  std::string show = "auto";
  int timeout_s = 600;
  int wait_s = 0;
  bool raw = false;
};

// What a gateway said must not steer the terminal.
void line(std::string_view what, std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') c = ' ';
  }
  if (!text.empty()) std::cout << fmt::format("{:<8} {}\n", what, text);
}

// "picture.png", "picture-2.png", ...
fs::path numbered(const fs::path& first, std::size_t index) {
  if (index == 0) return first;
  fs::path out = first;
  out.replace_filename(
      fmt::format("{}-{}{}", first.stem().string(), index + 1, first.extension().string()));
  return out;
}

result<void> save(const fs::path& file, const std::string& bytes) {
  std::error_code error;
  if (file.has_parent_path()) fs::create_directories(file.parent_path(), error);
  std::ofstream out(file, std::ios::binary);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  out.flush();
  if (!out) return fail(ec::bad_file, fmt::format("{}: cannot be written", file.string()));
  return {};
}

void show(const picture& p) {
  // Whichever of the three is the terminal knows its size; a script may hold the output back.
  winsize window{};
  for (const int fd : {STDOUT_FILENO, STDERR_FILENO, STDIN_FILENO}) {
    if (::ioctl(fd, TIOCGWINSZ, &window) == 0 && window.ws_col > 0) break;
    window = {50, 80, 0, 0};
  }
  const char* term = std::getenv("COLORTERM");
  const bool exact = term != nullptr &&
                     (std::string_view(term) == "truecolor" || std::string_view(term) == "24bit");
  const auto text = half_blocks(p, window.ws_col, std::max(8, window.ws_row - 2),
                                exact ? colours::exact : colours::palette);
  if (text) std::cout << *text;
}

// Fetches and saves a file, and keeps it in `pictures` if it is one.
result<void> take_file(const options& o, const gateway_address& gateway, const answer_file& file,
                       std::size_t index, time_point deadline, std::vector<picture>& pictures) {
  const auto bytes = fetch(gateway, file.url, deadline);
  if (!bytes) return fail(bytes.error());
  const fs::path path = numbered(o.out, index);
  if (auto saved = save(path, *bytes); !saved) return saved;
  auto decoded = decode_picture(*bytes);
  const std::string size =
      decoded ? fmt::format("{} x {}, ", decoded->width, decoded->height) : std::string();
  line("picture", fmt::format("{} ({}seed {}{})", path.string(), size, file.seed,
                              file.nsfw ? ", flagged as offensive" : ""));
  if (decoded) pictures.push_back(std::move(*decoded));
  return {};
}

result<void> report(const options& o, const gateway_address& gateway, const json::object& params,
                    const json::value& body, time_point deadline, std::vector<picture>& pictures) {
  const auto got = read_answer(body);
  if (!got) return fail(got.error());
  for (std::size_t i = 0; i < got->files.size(); ++i) {
    auto taken = take_file(o, gateway, got->files[i], i, deadline, pictures);
    if (!taken) return taken;
  }
  if (got->files.empty()) {
    json::object own = body.is_object() ? body.get_object() : json::object();
    own.erase("job");  // told below
    line("answer", json::serialize(own));
  }
  if (const auto* prompt = params.if_contains("prompt")) {
    line("prompt", std::string(std::string_view(prompt->as_string())));
  }
  line("model", got->model);
  line("job", got->id);
  line("route", fmt::format("{}", fmt::join(got->route, " -> ")));
  std::string stages;
  double total = 0;
  for (const auto& [name, ms] : got->stages) {
    stages += fmt::format("{}{} {:.1f} ms", stages.empty() ? "" : ", ", name, ms);
    total += ms;
  }
  if (!stages.empty()) line("stages", fmt::format("{} (together {:.1f} ms)", stages, total));
  for (const std::string& note : got->notes) line("note", note);
  return {};
}

result<void> run(const options& o, const pipelines::description& d, const given& values) {
  const auto gateway = parse_url(o.url);
  if (!gateway) return fail(gateway.error());
  const auto job = body_of(d, values);
  if (!job) return fail(job.error());
  const auto deadline = clock::now() + seconds(o.timeout_s);
  const auto begin = clock::now();
  const auto body = submit(*gateway, d, *job, o.token, deadline);
  if (!body) return fail(body.error());
  const double waited = to_ms(clock::now() - begin);
  if (o.raw) {
    std::cout << json::serialize(*body) << '\n';
    return {};
  }
  std::vector<picture> pictures;
  if (auto done = report(o, *gateway, job->params, *body, deadline, pictures); !done) return done;
  line("answered", fmt::format("after {:.1f} ms", waited));
  if (o.show == "always" || (o.show == "auto" && ::isatty(STDOUT_FILENO) == 1)) {
    for (const picture& p : pictures) show(p);
  }
  return {};
}

result<void> show_health(const options& o) {
  const auto gateway = parse_url(o.url);
  if (!gateway) return fail(gateway.error());
  const auto report = health(*gateway, clock::now() + seconds(o.wait_s));
  if (!report) return fail(report.error());
  std::cout << json::serialize(*report) << '\n';
  return {};
}

int start(int argc, char** argv) {
  options o;
  CLI::App app("Sends one job to a gateway, saves the answer and tells how it came about.",
               "lp-job");
  app.add_option("--url", o.url, "The gateway.")->envname("LP_URL")->capture_default_str();
  app.add_option("--token", o.token, "Bearer token.")->envname("LP_TOKEN");
  app.add_option("--out", o.out, "Where pictures go; further ones get a number.")
      ->capture_default_str();
  app.add_option("--show", o.show, "Draw the picture here; auto: on a terminal.")
      ->check(CLI::IsMember({"auto", "always", "never"}))
      ->capture_default_str();
  app.add_option("--timeout", o.timeout_s, "Seconds for the whole job.")
      ->check(CLI::Range(1, 86400))
      ->capture_default_str();
  app.add_flag("--json", o.raw, "Only print the gateway's answer.");
  app.require_subcommand(1);
  app.fallthrough();
  CLI::App* check = app.add_subcommand("health", "Asks the gateway how it is.");
  check->add_option("--wait", o.wait_s, "Seconds to wait until it takes jobs.")
      ->check(CLI::Range(0, 3600));
  given values;
  for (const pipelines::description& d : pipelines::all()) add_pipeline(app, d, values);
  if (const auto over = lp::read_command_line(app, argc, argv)) return *over;
  const std::string chosen = app.get_subcommands().front()->get_name();
  const auto done = check->parsed() ? show_health(o) : run(o, *pipelines::find(chosen), values);
  if (done) return 0;
  std::cerr << "lp-job: " << render(done.error()) << '\n';
  return 1;
}

}  // namespace
}  // namespace lp::job

int main(int argc, char** argv) {
  try {
    return lp::job::start(argc, argv);
  } catch (const std::exception& e) {
    std::cerr << "lp-job: " << e.what() << '\n';
    return 1;
  }
}
