// SPDX-License-Identifier: MIT
// A pipeline without a model: it gives back what it was given, after as long and in as many steps
// as asked. Tests and benchmarks measure and break everything around a pipeline with it.
#include <chrono>
#include <thread>

#include <fmt/format.h>
#include <boost/json/object.hpp>
#include <boost/json/string.hpp>

#include "pipelines/description.hpp"
#include "runtime/base/clock.hpp"

namespace lp::pipelines {

namespace {

namespace json = boost::json;
using kind = parameter::kind;

constexpr ec failures[] = {
    ec::busy,     ec::gone,    ec::load_failed, ec::out_of_memory, ec::pipeline_failed,
    ec::bad_file, ec::internal};

// Bytes whose every position can be checked: byte i is i * 31 mod 251.
std::string pattern(std::int64_t size) {
  std::string out(static_cast<std::size_t>(size), '\0');
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<char>(i * 31 % 251);
  return out;
}

class noop_run : public run {
 public:
  explicit noop_run(const job_input& input)
      : data_(input.params.at("data")),
        failure_(input.params.at("fail").as_string()),
        file_bytes_(input.params.at("file_bytes").as_int64()),
        attachments_(input.attachments),
        total_(static_cast<int>(input.params.at("steps").as_int64())),
        delay_(milliseconds(input.params.at("delay_ms").as_int64())),
        begin_(clock::now()) {}

  // Waits until this step's share of the delay is over, counted from the start, so that the whole
  // lasts as long as asked.
  result<progress> step() override {
    ++done_;
    std::this_thread::sleep_until(begin_ + delay_ * done_ / total_);
    if (done_ < total_) return progress{done_, total_};
    for (const ec code : failures) {
      if (to_string(code) == failure_) {
        return fail(code, fmt::format("the request asked for the failure \"{}\"", failure_));
      }
    }
    return progress{done_, total_};
  }

  result<output> finish() override {
    output out;
    out.fields["data"] = std::move(data_);
    for (const attachment& file : attachments_) {
      out.files.push_back({file.mime, file.data, 0, false, 0, 0});
    }
    if (file_bytes_ > 0) {
      out.files.push_back(
          {"application/octet-stream", share(pattern(file_bytes_)), 0, false, 0, 0});
    }
    out.stages.push_back({"wait", to_ms(clock::now() - begin_)});
    out.units = total_;
    return out;
  }

 private:
  json::value data_;
  std::string failure_;
  std::int64_t file_bytes_;
  std::vector<attachment> attachments_;
  int total_;
  int done_ = 0;
  duration delay_;
  time_point begin_;
};

class noop_model : public model {
 public:
  std::uint64_t bytes() const override { return 0; }
  result<std::unique_ptr<run>> start(const job_input& input) override {
    return std::make_unique<noop_run>(input);
  }
};

std::vector<parameter> noop_parameters() {
  std::vector<std::string> choices{""};
  for (const ec code : failures) choices.emplace_back(to_string(code));
  return {
      {"model_id", kind::string, "Empty or \"noop\".", "", false, {}, 512, {}},
      {"data", kind::string, "Comes back as it is.", "", false, {}, 1 << 20, {}},
      {"file", kind::file, "Comes back as it is; send it in a form.", {}, false, {}, {}, {}},
      {"file_bytes",
       kind::integer,
       "Size of a file in the answer, in bytes; 0 means none.",
       0,
       false,
       0,
       64 << 20,
       {}},
      {"delay_ms",
       kind::integer,
       "How long the job lasts, in milliseconds.",
       0,
       false,
       0,
       600000,
       {}},
      {"steps", kind::integer, "Number of steps that share the delay.", 1, false, 1, 100000, {}},
      {"fail",
       kind::string,
       "The error that the job ends with after its delay; empty means none.",
       "",
       false,
       {},
       {},
       choices},
  };
}

description noop() {
  description d;
  d.name = "noop";
  d.title = "Noop";
  d.summary = "Gives back its input, to try and to measure a cluster.";
  d.operation_id = "genNoop";
  d.body = encoding::either;
  d.result_form = answer::json;
  d.parameters = noop_parameters();
  d.unit = "step";
  d.units = [](const json::object& params) {
    const json::value* steps = params.if_contains("steps");
    return steps == nullptr ? 1.0 : steps->to_number<double>();
  };
  d.needs_model = false;
  d.load = [](const std::filesystem::path&, const device&) -> result<std::shared_ptr<model>> {
    return std::make_shared<noop_model>();
  };
  return d;
}

LP_PIPELINE(noop);

}  // namespace

}  // namespace lp::pipelines
