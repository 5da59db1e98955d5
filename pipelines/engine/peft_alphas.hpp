// SPDX-License-Identifier: MIT
// How strong the additions of a file are by what PEFT notes of them (LoraConfig): r, lora_alpha,
// use_rslora, and for single modules rank_pattern and alpha_pattern.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/json/object.hpp>

#include "runtime/base/error.hpp"

namespace lp::engine {

class peft_alphas {
 public:
  /// Of such an object. Its keys may begin with a network's name, "unet.r"; without one they are
  /// meant for all. `where` opens messages; ec::bad_file names the key.
  static result<peft_alphas> read(const boost::json::object& noted, const std::string& where);

  /// alpha / rank of a module by its path in the network, where `rank` is that of its tensors;
  /// nothing where nothing is noted of that network.
  std::optional<double> scale(const std::string& network, const std::string& module,
                              std::int64_t rank) const;
  /// The rank noted for the module, for those whose tensors do not tell.
  std::optional<std::int64_t> rank(const std::string& network, const std::string& module) const;

 private:
  /// A module's number by the first pattern that its path matches: "to_q" or "attn1.to_q" mean all
  /// paths that end so at a dot; more than names and dots is a regular expression.
  using patterns = std::vector<std::pair<std::string, double>>;
  struct config {
    std::optional<double> alpha, rank;
    bool root_of_rank = false;  ///< rsLoRA divides by the rank's square root
    patterns alphas, ranks;
  };

  static result<patterns> read_patterns(const boost::json::value& value, const std::string& what);
  static result<config> read_config(const boost::json::object& noted, const std::string& prefix,
                                    const std::string& where);
  static std::optional<double> matching(const patterns& all, const std::string& module);
  const config* of(const std::string& network) const;

  std::map<std::string, config> configs_;  ///< by network; "" for all others
};

}  // namespace lp::engine
