// SPDX-License-Identifier: Apache-2.0
#include "tests/support/lab/tls_collector.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/support/free_port.h"
#include "tests/support/process.h"

namespace postern::lab {

namespace fs = std::filesystem;

TlsCollector::TlsCollector(Postern& postern, std::string folder, const std::string& lifetime)
    : postern_(postern),
      folder_(std::move(folder)),
      address_(absl::StrCat("127.0.0.1:", support::FreePort())) {
  pin_ = Pki({"init", "--name", "127.0.0.1"}).value("ca_pin", "");
  EXPECT_NE(pin_, "");
  const fs::path config = fs::path(postern.config_file()).parent_path() / "collector.yaml";
  std::ofstream(config, std::ios::app) << "listen: \"" << address_ << "\"\npki: {dir: " << folder_
                                       << ", lifetime: " << lifetime << "}\n";
}

nlohmann::json TlsCollector::Pki(std::vector<std::string> words) const {
  words.insert(words.begin(), {fs::path(postern_.posternd()).parent_path() / "postern", "pki"});
  words.insert(words.end(), {"--dir", folder_, "--json"});
  const support::Finished made = support::RunToEnd(words);
  EXPECT_EQ(made.exit_code, 0) << made.error;
  return nlohmann::json::parse(made.output, nullptr, /*allow_exceptions=*/false);
}

void TlsCollector::Enrol() const {
  const std::string token = Pki({"token", "lab.example.net"}).value("token", "");
  const support::Finished enrolled =
      postern_.RunAgent({"--config", postern_.config_file(), "--enroll", address_, "--token", token,
                         "--ca-pin", pin_});
  ASSERT_EQ(enrolled.exit_code, 0) << enrolled.error;
}

}  // namespace postern::lab
