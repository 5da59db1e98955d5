// SPDX-License-Identifier: MIT
// lp-model looks after the folder of models: what is there, whether it is whole, and pulling more.
#include <csignal>
#include <iostream>

#include <unistd.h>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "actors/model_pull.hpp"
#include "runtime/base/bytes.hpp"
#include "tools/command_line.hpp"
#include "tools/lp-model/conversion.hpp"
#include "tools/lp-model/inspection.hpp"
#include "tools/lp-model/progress_bar.hpp"
#include "tools/lp-model/store.hpp"

namespace lp::model_tool {
namespace {

namespace fs = std::filesystem;

struct options {
  std::string models = "models";
  std::string target;  ///< a model's id or folder, or a repository
  std::string variant;
  std::string to;
  std::string dtype = "fp16";
  std::string token;
  std::string endpoint;
  unsigned connections = 4;
  bool all = false;
  bool remove = false;
};

// A first Ctrl-C ends a download in order: what has arrived stays and is gone on with.
cancel_token interrupted;
void on_signal(int) {
  interrupted.cancel();
}

fs::path folder_of(const options& o) {
  std::error_code error;
  const fs::path inside = fs::path(o.models) / o.target;
  return fs::exists(inside, error) ? inside : fs::path(o.target);
}

result<void> list(const options& o) {
  const auto models = list_models(o.models);
  if (!models) return fail(models.error());
  for (const stored_model& m : *models) {
    std::cout << fmt::format("{:<40} {:>10}  {}{}\n", m.id, human_bytes(m.bytes), m.family,
                             m.pulled ? "  (pulled)" : "");
    if (!m.broken.empty()) std::cout << fmt::format("{:<40} {:>10}  {}\n", "", "broken:", m.broken);
  }
  return {};
}

result<void> show(const options& o) {
  const auto report = inspect(folder_of(o), true);
  if (!report) return fail(report.error());
  std::cout << to_text(*report);
  if (report->missing.empty()) return {};
  return fail(ec::bad_file,
              fmt::format("{}: {} parts are missing or damaged", o.target, report->missing.size()));
}

result<void> verify(const options& o) {
  const fs::path folder = folder_of(o);
  const auto found = actors::verify_model(folder);
  if (!found) return fail(found.error());
  for (const std::string& w : found->wrong) std::cout << w << '\n';
  if (!found->wrong.empty()) {
    return fail(ec::bad_file, fmt::format("{}: {} files are wrong; pull it again", folder.string(),
                                          found->wrong.size()));
  }
  for (const std::string& path : found->by_size_alone) {
    std::cout << path << ": has the right size; the hub named no digest to compare\n";
  }
  if (found->by_size_alone.empty()) {
    std::cout << folder.string() << ": every file is as the hub has it\n";
  } else {
    std::cout << fmt::format(
        "{}: {} of {} files are as the hub has them, of the others only the "
        "size could be compared\n",
        folder.string(), found->files - found->by_size_alone.size(), found->files);
  }
  return {};
}

actors::pull_options pull_options_of(const options& o) {
  actors::pull_options out;
  out.models = o.models;
  out.variant = o.variant;
  out.hub = actors::hub_from_environment();
  out.hub.connections = o.connections;
  if (!o.token.empty()) out.hub.token = o.token;
  if (!o.endpoint.empty()) out.hub.endpoint = o.endpoint;
  return out;
}

result<void> pull(const options& o) {
  const auto name = net::parse_hub_name(o.target);
  if (!name) return fail(name.error());
  actors::pull_options p = pull_options_of(o);
  const bool terminal = ::isatty(STDERR_FILENO) == 1;
  progress_bar bar(clock::now());
  if (terminal) {
    p.progress = [&bar](const actors::pull_state& state) {
      if (const auto line = bar.update(state, clock::now())) {
        std::cerr << "\r\x1b[K" << *line << std::flush;
      }
    };
  }
  std::signal(SIGINT, on_signal);
  std::signal(SIGTERM, on_signal);
  const auto folder = actors::pull_model(*name, p, interrupted);
  if (terminal) std::cerr << '\n';
  if (!folder) return fail(folder.error());
  std::cout << folder->string() << '\n';
  return {};
}

result<void> convert(const options& o) {
  const auto done = convert_model(folder_of(o), o.to, o.dtype);
  if (!done) return fail(done.error());
  std::cout << fmt::format("{}: {} of weights became {}\n", o.to, human_bytes(done->before),
                           human_bytes(done->after));
  return {};
}

result<void> prune(const options& o) {
  const auto found = find_leftovers(o.models, o.all, fs::file_time_type::clock::now());
  if (!found) return fail(found.error());
  std::uint64_t sum = 0;
  for (const leftover& l : *found) {
    std::error_code error;
    if (o.remove) fs::remove(l.path, error);
    if (error) return fail(ec::bad_file, fmt::format("{}: {}", l.path.string(), error.message()));
    std::cout << fmt::format("{:>10}  {}: {}\n", human_bytes(l.bytes), l.path.string(), l.why);
    sum += l.bytes;
  }
  std::cout << fmt::format("{} {} in {} files{}\n", human_bytes(sum),
                           o.remove ? "freed" : "to free", found->size(),
                           o.remove || found->empty() ? "" : "; --yes removes them");
  return {};
}

int start(int argc, char** argv) {
  options o;
  CLI::App app("Looks after a folder of models.", "lp-model");
  app.add_option("--models", o.models, "The folder of models.")
      ->envname("LP_MODELS")
      ->capture_default_str();
  app.require_subcommand(1);
  app.fallthrough();
  using action = result<void> (*)(const options&);
  std::vector<std::pair<CLI::App*, action>> actions;
  const auto command = [&](const char* name, const char* help, action run) {
    actions.emplace_back(app.add_subcommand(name, help), run);
    return actions.back().first;
  };
  command("list", "The models that are there.", list);
  command("inspect", "What a model is, what it takes and what it lacks.", show)
      ->add_option("model", o.target, "Its id, or a folder.")
      ->required();
  command("verify", "Holds a pulled model's files against the hub's digests.", verify)
      ->add_option("model", o.target, "Its id, or a folder.")
      ->required();
  CLI::App* p = command("pull", "Downloads a model, or goes on with a download.", pull);
  p->add_option("repository", o.target, "OWNER/NAME or OWNER/NAME@REVISION.")->required();
  p->add_option("--variant", o.variant, "Of the weights, such as fp16.");
  p->add_option("--token", o.token, "Also HF_TOKEN in the environment.");
  p->add_option("--hub", o.endpoint, "A mirror's address; also HF_ENDPOINT in the environment.");
  p->add_option("--connections", o.connections, "Ranges under way at once.")
      ->check(CLI::Range(1, 32))
      ->capture_default_str();
  p = command("convert",
              "Copies a model with its weights in another precision; a checkpoint in one file "
              "becomes a folder.",
              convert);
  p->add_option("model", o.target, "Its id, a folder, or a checkpoint's file.")->required();
  p->add_option("to", o.to, "The new folder.")->required();
  p->add_option("--dtype", o.dtype, "fp32, fp16 or bf16.")
      ->check(CLI::IsMember({"fp32", "fp16", "bf16"}))
      ->capture_default_str();
  p = command("prune", "Finds what takes room and serves nothing.", prune);
  p->add_flag("--all", o.all, "Also downloads that were begun within a day.");
  p->add_flag("--yes", o.remove, "Removes it.");
  if (const auto over = lp::read_command_line(app, argc, argv)) return *over;
  for (const auto& [chosen, run] : actions) {
    if (!chosen->parsed()) continue;
    const auto done = run(o);
    if (done) return 0;
    std::cerr << "lp-model: " << render(done.error()) << '\n';
  }
  return 1;
}

}  // namespace
}  // namespace lp::model_tool

int main(int argc, char** argv) {
  try {
    return lp::model_tool::start(argc, argv);
  } catch (const std::exception& e) {
    std::cerr << "lp-model: " << e.what() << '\n';
    return 1;
  }
}
