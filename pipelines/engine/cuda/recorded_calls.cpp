// SPDX-License-Identifier: MIT
#include "pipelines/engine/cuda/recorded_calls.hpp"

#include <algorithm>

namespace lp::engine {

recorded_calls::shape recorded_calls::shape_of(const std::vector<at::Tensor>& inputs) {
  shape out;
  for (const auto& input : inputs) {
    // An undefined input has a number of dimensions of its own.
    out.push_back(input.defined() ? input.dim() : -1);
    if (!input.defined()) continue;
    out.push_back(static_cast<std::int64_t>(input.scalar_type()));
    out.insert(out.end(), input.sizes().begin(), input.sizes().end());
  }
  return out;
}

recorded_calls::entry& recorded_calls::find(const shape& key) {
  const auto there = std::find_if(entries_.begin(), entries_.end(),
                                  [&](const entry& known) { return known.key == key; });
  if (there != entries_.end()) {
    entries_.splice(entries_.begin(), entries_, there);
  } else {
    entries_.push_front({key, 0, nullptr});
    if (entries_.size() > most_known) entries_.pop_back();
  }
  return entries_.front();
}

void recorded_calls::drop_oldest() {
  std::size_t seen = 0;
  for (auto& known : entries_) {
    if (!known.recording || ++seen <= most_recorded) continue;
    known.recording = nullptr;
    known.calls = 0;  // it has to come up again
  }
}

at::Tensor recorded_calls::operator()(const network_call& network,
                                      const std::vector<at::Tensor>& inputs) {
  // Held while a recording is played: its inputs are its own until the GPU's work is queued.
  std::unique_lock lock(mutex_);
  if (const auto recording = recording_for(network, inputs)) return recording->play(inputs);
  lock.unlock();
  return network(inputs);
}

std::shared_ptr<recorded_call> recorded_calls::recording_for(
    const network_call& network, const std::vector<at::Tensor>& inputs) {
  if (!recorder_) return nullptr;
  auto& here = find(shape_of(inputs));
  if (here.recording) return here.recording;
  if (here.calls++ < plain_calls) return nullptr;
  auto made = recorder_->record(network, inputs);
  here.recording = made;
  if (made) {
    drop_oldest();
  } else {
    recorder_ = nullptr;  // what cannot be recorded once never can
  }
  return made;
}

void recorded_calls::forget() {
  const std::lock_guard lock(mutex_);
  entries_.clear();
}

std::size_t recorded_calls::recorded() const {
  const std::lock_guard lock(mutex_);
  return static_cast<std::size_t>(std::count_if(
      entries_.begin(), entries_.end(), [](const entry& e) { return e.recording != nullptr; }));
}

}  // namespace lp::engine
