// SPDX-License-Identifier: MIT
// Keys made for a test.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>

#include <fmt/core.h>

namespace lp::testing {

/// A folder with a certificate authority and a node's certificate that it signed: ca.pem, node.pem,
/// node.key.
class tls_keys {
 public:
  /// `days` that the node's certificate is good for; 0 has expired by now.
  explicit tls_keys(int days = 2) {
    std::string pattern = (std::filesystem::temp_directory_path() / "lp-tls-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
    run("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "
        "-subj /CN=authority -keyout ca.key -out ca.pem");
    run("openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=node "
        "-keyout node.key -out node.csr");
    sign(days);
  }
  ~tls_keys() { std::filesystem::remove_all(folder_); }
  tls_keys(const tls_keys&) = delete;
  tls_keys& operator=(const tls_keys&) = delete;

  const std::string& folder() const { return folder_; }

  std::string table() const {
    return fmt::format(
        "[cluster.tls]\ncertificate = \"{0}/node.pem\"\nkey = \"{0}/node.key\"\nauthority = "
        "\"{0}/ca.pem\"\n",
        folder_);
  }

 private:
  void sign(int days) const {
    run(
        fmt::format("openssl x509 -req -in node.csr -CA ca.pem -CAkey ca.key -CAcreateserial "
                    "-days {} -out node.pem",
                    days));
  }
  void run(const std::string& command) const {
    const std::string line = fmt::format("cd {} && {} >/dev/null 2>&1", folder_, command);
    if (std::system(line.c_str()) != 0) throw std::runtime_error(command);
  }

  std::string folder_;
};

}  // namespace lp::testing
