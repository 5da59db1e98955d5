// SPDX-License-Identifier: MIT
#include "actors/run_queue.hpp"

#include <algorithm>
#include <exception>
#include <new>

namespace lp::actors {

namespace {

// One piece of work: nothing while the run goes on, its outcome when it ends.
std::optional<result<pipelines::output>> work(pipelines::run& run) {
  try {
    const result<pipelines::progress> p = run.step();
    if (!p) return fail(p.error());
    if (p->done < p->total) return std::nullopt;
    return run.finish();
  } catch (const std::bad_alloc&) {
    return fail(ec::out_of_memory, "the device's memory did not suffice for this job");
  } catch (const std::exception& e) {
    return fail(ec::pipeline_failed, e.what());
  }
}

}  // namespace

void run_queue::add(std::string id, std::unique_ptr<pipelines::run> run, time_point deadline) {
  runs_.push_back({std::move(id), std::move(run), deadline});
}

bool run_queue::cancel(const std::string& id) {
  return runs_.remove_if([&](const entry& e) { return e.id == id; }) > 0;
}

std::optional<run_queue::ended> run_queue::step(time_point now) {
  if (runs_.empty()) return std::nullopt;
  entry& e = runs_.front();
  std::optional<result<pipelines::output>> outcome;
  if (e.deadline <= now) {
    outcome = fail(ec::deadline_exceeded, "the job's time was over while it ran");
  } else {
    outcome = work(*e.run);
  }
  if (!outcome) {
    runs_.splice(runs_.end(), runs_, runs_.begin());
    return std::nullopt;
  }
  ended out{std::move(e.id), std::move(*outcome)};
  runs_.pop_front();
  return out;
}

}  // namespace lp::actors
