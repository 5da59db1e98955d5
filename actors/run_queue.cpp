// SPDX-License-Identifier: MIT
#include "actors/run_queue.hpp"

#include <algorithm>
#include <exception>
#include <iterator>
#include <new>
#include <span>

namespace lp::actors {

namespace {

using outcome = std::optional<result<pipelines::output>>;

// Nothing while the run goes on, its outcome when it ends. `done`: which part of it is.
outcome after(pipelines::run& run, const result<pipelines::progress>& p, double& done) {
  if (!p) return fail(p.error());
  if (p->total > 0) done = static_cast<double>(p->done) / p->total;
  if (p->done < p->total) return std::nullopt;
  return run.finish();
}

// One piece of work of each, all together.
std::vector<outcome> work(const std::vector<pipelines::run*>& runs, std::vector<double>& done) {
  std::vector<outcome> out;
  try {
    if (runs.size() == 1) return {after(*runs.front(), runs.front()->step(), done[0])};
    const auto steps = runs.front()->step_with(std::span(runs).subspan(1));
    for (std::size_t i = 0; i < runs.size(); ++i) {
      out.push_back(after(*runs[i], steps.at(i), done[i]));
    }
    return out;
  } catch (const std::bad_alloc&) {
    return std::vector<outcome>(
        runs.size(), fail(ec::out_of_memory, "the device's memory did not suffice for this job"));
  } catch (const std::exception& e) {
    return std::vector<outcome>(runs.size(), fail(ec::pipeline_failed, e.what()));
  }
}

}  // namespace

void run_queue::add(std::string id, std::unique_ptr<pipelines::run> run, time_point deadline) {
  runs_.push_back({std::move(id), std::move(run), deadline, 0});
}

std::optional<double> run_queue::cancel(const std::string& id) {
  const auto it =
      std::find_if(runs_.begin(), runs_.end(), [&](const entry& e) { return e.id == id; });
  if (it == runs_.end()) return std::nullopt;
  const double done = it->done;
  runs_.erase(it);
  return done;
}

std::optional<run_queue::ended> run_queue::next_ended() {
  if (ended_.empty()) return std::nullopt;
  ended out = std::move(ended_.front());
  ended_.pop_front();
  return out;
}

std::optional<run_queue::ended> run_queue::step(time_point now) {
  if (!ended_.empty() || runs_.empty()) return next_ended();
  if (runs_.front().deadline <= now) {
    ended_.push_back({std::move(runs_.front().id),
                      fail(ec::deadline_exceeded, "the job's time was over while it ran")});
    runs_.pop_front();
    return next_ended();
  }
  const auto key = runs_.front().run->batch_key();
  std::vector<std::list<entry>::iterator> together{runs_.begin()};
  for (auto it = std::next(runs_.begin()); it != runs_.end(); ++it) {
    if (key == 0 || together.size() == most_together) break;
    if (it->deadline > now && it->run->batch_key() == key) together.push_back(it);
  }
  std::vector<pipelines::run*> runs;
  for (const auto& it : together) runs.push_back(it->run.get());
  std::vector<double> done;
  for (const auto& it : together) done.push_back(it->done);
  auto outcomes = work(runs, done);
  for (std::size_t i = 0; i < together.size(); ++i) {
    if (outcomes[i]) {
      ended_.push_back({std::move(together[i]->id), std::move(*outcomes[i])});
      runs_.erase(together[i]);
    } else {
      together[i]->done = done[i];
      runs_.splice(runs_.end(), runs_, together[i]);
    }
  }
  return next_ended();
}

}  // namespace lp::actors
