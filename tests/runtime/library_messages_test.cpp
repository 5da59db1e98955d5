// SPDX-License-Identifier: MIT
#include "runtime/library_messages.hpp"

#include <cstdlib>
#include <iostream>
#include <string>

#include <gtest/gtest.h>

#include "net/wire/cluster.pb.h"

namespace lp::runtime {
namespace {

// The streams are the process's, so each test is a process of its own.
TEST(library_messages_DeathTest, are_records_of_the_log_told_once) {
  EXPECT_EXIT(
      {
        log_library_messages();
        for (int i = 0; i < 3; ++i)
          std::cerr << "something "
                    << "odd\n";
        std::cout << "printed\nwithout end";
        std::_Exit(3);
      },
      testing::ExitedWithCode(3), "^[^\n]* library: something odd\n[^\n]* library: printed\n$");
}

TEST(library_messages_DeathTest, of_protobuf_too) {
  EXPECT_EXIT(
      {
        log_library_messages();
        wire::Offer offer;
        offer.set_pipeline("\xff");
        static_cast<void>(offer.SerializeAsString());  // no UTF-8
        std::_Exit(3);
      },
      testing::ExitedWithCode(3), "protobuf.*UTF-8");
}

}  // namespace
}  // namespace lp::runtime
