// SPDX-License-Identifier: MIT
// What a worker holds and runs, without a word about how it computes.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <boost/json/object.hpp>

#include "runtime/base/bytes.hpp"
#include "runtime/base/error.hpp"

namespace lp::pipelines {

/// A file that came with a request.
struct attachment {
  std::string field;  ///< the parameter it belongs to
  std::string mime;   ///< as the client said; never trusted
  shared_bytes data;
};

/// A decoded picture that came with a request, upright, without a colour profile.
struct picture {
  std::string field;           ///< the parameter it belongs to: "image", "mask_image"
  std::uint32_t width = 0;     ///< pixels
  std::uint32_t height = 0;    ///< pixels
  std::uint32_t channels = 3;  ///< 1: grey, 3: RGB, 4: RGB and alpha (0: transparent)
  shared_bytes values;         ///< 8 bits a channel, interleaved, row by row from the top
};

/// One job's input: parameters as validate() returned them (every one present, of its type and in
/// its range), and files. Whoever starts a run decodes the attachments that are pictures.
struct job_input {
  boost::json::object params;
  std::vector<attachment> attachments;
  std::vector<picture> pictures{};
  /// Take as little memory as can be, though that be slower; see memory_need::lean_peak.
  bool lean = false;
};

/// A file of the result.
struct media {
  std::string mime;  ///< "image/png"
  shared_bytes data;
  std::int64_t seed = 0;
  bool nsfw = false;
  std::uint32_t width = 0;   ///< pixels; 0 where it means nothing
  std::uint32_t height = 0;  ///< pixels
};

/// Wall-clock time of a named part of a run.
struct stage_time {
  std::string name;  ///< "text", "denoise", "decode", "encode"
  double ms = 0;
};

struct output {
  std::vector<media> files;
  boost::json::object fields;      ///< further members of the answer
  std::vector<stage_time> stages;  ///< in the order they ran
  std::vector<std::string> notes;  ///< what the user should know, e.g. that a picture was resized
  double units = 0;                ///< billing units done, see description::unit
};

struct progress {
  int done = 0;
  int total = 0;  ///< done == total: call finish()
};

/// One job under way: call step() until done == total, then finish() once. Bounded work a call, so
/// that the owner can look at its messages between calls. Drop the object to cancel. Not
/// thread-safe; different runs of one model may be stepped in turn by one thread.
class run {
 public:
  virtual ~run() = default;
  virtual result<progress> step() = 0;
  virtual result<output> finish() = 0;

  /// Runs whose next steps can be computed together have equal keys; 0: this one steps alone. May
  /// change with every step.
  virtual std::uint64_t batch_key() const { return 0; }

  /// Steps this run and `others`, all of one batch_key() and none at its end. Results in order,
  /// this run's first; one that fails says nothing of the rest. What a run draws is the same,
  /// bit for bit, whoever it is stepped with.
  virtual std::vector<result<progress>> step_with(std::span<run* const> others) {
    std::vector<result<progress>> out{step()};
    for (run* other : others) out.push_back(other->step());
    return out;
  }

  /// What there is to see so far, made quickly and roughly; ec::bad_request where a run has nothing
  /// to show.
  virtual result<media> preview() const {
    return fail(ec::bad_request, "this run has nothing to show before its end");
  }
};

/// What a request will take, foreseen.
struct memory_need {
  std::uint64_t weights = 0;  ///< bytes the loaded model holds
  std::uint64_t peak = 0;     ///< bytes the run needs on top at its highest
  /// The same of a run with job_input::lean; 0: there is no such way.
  std::uint64_t lean_peak = 0;
};

class safety_classifier;

/// A loaded model. Owned by a model cache through shared_ptr; a run keeps its model alive.
class model {
 public:
  virtual ~model() = default;

  /// Memory that the weights hold, in bytes; what the cache's budget counts.
  virtual std::uint64_t bytes() const = 0;

  /// Foresees the memory of a run, from sizes alone and at once; 0 on top where a model cannot
  /// tell. Errors as those of start().
  virtual result<memory_need> memory_for(const job_input& /*input*/) const {
    return memory_need{bytes(), 0, 0};
  }

  /// The largest request of this one's kind that takes no more than `peak` bytes on top of the
  /// weights, for a person: "512x384 pixels, 1 picture"; empty where there is none to name.
  virtual std::string what_fits(const job_input& /*input*/, std::uint64_t /*peak*/) const {
    return {};
  }

  /// What a person should know of how it was loaded: what was assumed, what was left out.
  virtual std::vector<std::string> notes() const { return {}; }

  /// Whether further runs can be started: not if one of its files went away (ec::load_failed of
  /// its runs); it can be loaded anew.
  virtual bool usable() const { return true; }

  /// The safety checker that came with the model; null without one. Its bytes() count in bytes().
  virtual std::shared_ptr<safety_classifier> safety() const { return nullptr; }

  /// Checks what only the model can know (sizes, prompt counts) and prepares a run.
  virtual result<std::unique_ptr<run>> start(const job_input& input) = 0;
};

}  // namespace lp::pipelines
