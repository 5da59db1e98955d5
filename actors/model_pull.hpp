// SPDX-License-Identifier: MIT
// Models of a hub as folders here. No CAF.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "net/hub_client.hpp"
#include "runtime/base/cancel.hpp"
#include "runtime/base/error.hpp"

namespace lp::actors {

/// Of a whole model.
struct pull_state {
  std::string file;  ///< the one that is being fetched
  std::uint64_t done = 0;
  std::uint64_t total = 0;
};

struct pull_options {
  std::filesystem::path models;  ///< the folder of models; the model's is NAME below it
  std::string variant;           ///< of the weights, such as "fp16"; empty: the plain ones
  net::hub_options hub;
  std::function<void(const pull_state&)> progress;  ///< may be called from several threads in turn
};

/// Endpoint, token and authorities as the environment has them (HF_ENDPOINT; HF_TOKEN; the first of
/// REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE and SSL_CERT_FILE), and the defaults. Proxies are the
/// transport's to heed.
net::hub_options hub_from_environment();

/// Downloads what running the model takes and writes down what it is (".hub.json"). What is there
/// already is verified and kept; what was begun is gone on with. A repository with one LoRA file is
/// also there as "loras/NAME.safetensors", so that requests can name it. The folder.
/// ec::out_of_memory if the disk has not the room.
result<std::filesystem::path> pull_model(const net::hub_name& name, const pull_options& options,
                                         const cancel_token& stop);

/// How a pulled folder compares with ".hub.json".
struct verification {
  std::vector<std::string> wrong;          ///< each for a person
  std::vector<std::string> by_size_alone;  ///< paths of which the hub named no digest
  std::size_t files = 0;                   ///< all that were looked at
};

/// Reads every file. ec::not_found if the folder was not pulled.
result<verification> verify_model(const std::filesystem::path& folder);

}  // namespace lp::actors
