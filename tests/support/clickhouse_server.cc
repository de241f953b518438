// SPDX-License-Identifier: Apache-2.0
#include "tests/support/clickhouse_server.h"

#include <csignal>
#include <filesystem>
#include <fstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/status.h"
#include "tests/support/free_port.h"

namespace postern::support {
namespace {

constexpr char kServer[] = R"xml(<?xml version="1.0"?>
<yandex>
  <logger><level>warning</level><log>FOLDER/log</log><errorlog>FOLDER/errors</errorlog></logger>
  <listen_host>127.0.0.1</listen_host>
  <http_port>HTTP</http_port>
  <tcp_port>TCP</tcp_port>
  <path>FOLDER/data/</path>
  <tmp_path>FOLDER/tmp/</tmp_path>
  <users_config>users.xml</users_config>
  <default_profile>default</default_profile>
  <default_database>default</default_database>
  <mark_cache_size>67108864</mark_cache_size>
  <uncompressed_cache_size>0</uncompressed_cache_size>
  <timezone>UTC</timezone>
</yandex>
)xml";

constexpr char kUsers[] = R"xml(<?xml version="1.0"?>
<yandex>
  <profiles><default><max_memory_usage>2000000000</max_memory_usage></default></profiles>
  <quotas><default/></quotas>
  <users>
    <postern>
      <password>pass word's</password>
      <networks><ip>127.0.0.1</ip></networks>
      <profile>default</profile>
      <quota>default</quota>
    </postern>
    <default>
      <password>none</password>
      <networks><ip>127.0.0.1</ip></networks>
      <profile>default</profile>
      <quota>default</quota>
    </default>
  </users>
</yandex>
)xml";

}  // namespace

absl::StatusOr<std::unique_ptr<ClickHouseServer>> ClickHouseServer::Start(
    const std::string& folder) {
  std::unique_ptr<ClickHouseServer> server(new ClickHouseServer(folder));
  server->http_port_ = FreePort();
  do {
    server->tcp_port_ = FreePort();
  } while (server->tcp_port_ == server->http_port_);
  RETURN_IF_ERROR(server->WriteConfiguration());
  RETURN_IF_ERROR(server->StartAgain());
  return server;
}

ClickHouseServer::~ClickHouseServer() { Stop(); }

absl::Status ClickHouseServer::WriteConfiguration() {
  std::error_code failed;
  for (const char* name : {"/data", "/tmp"}) {
    std::filesystem::create_directories(folder_ + name, failed);
    if (failed) return absl::InternalError(absl::StrCat(folder_, name, ": ", failed.message()));
  }
  std::ofstream(folder_ + "/config.xml") << absl::StrReplaceAll(
      kServer, {{"FOLDER", folder_}, {"HTTP", http_port_}, {"TCP", tcp_port_}});
  std::ofstream(folder_ + "/users.xml") << kUsers;
  return absl::OkStatus();
}

absl::Status ClickHouseServer::StartAgain() {
  process_ = Process::Start({"clickhouse-server", "--config-file=" + folder_ + "/config.xml"});
  absl::Status ready =
      process_->WaitUntil([&] { return Ask("SELECT 1") == "1\n"; }, absl::Seconds(60));
  if (ready.ok()) return ready;
  return absl::Status(ready.code(), absl::StrCat("a ClickHouse server cannot be started (packages "
                                                 "clickhouse-server and clickhouse-client): ",
                                                 ready.message()));
}

void ClickHouseServer::Kill() {
  process_->Signal(SIGKILL);
  process_->Wait();
}

void ClickHouseServer::Stop() { process_.reset(); }

std::string ClickHouseServer::Url(const std::string& database) const {
  return absl::StrCat("clickhouse://postern:pass%20word%27s@127.0.0.1:", http_port_, "/", database);
}

std::string ClickHouseServer::Ask(const std::string& statement, const std::string& database) const {
  const Finished finished =
      RunToEnd({"clickhouse-client", "--host=127.0.0.1", "--port=" + tcp_port_, "--user=postern",
                "--password=pass word's", "--database=" + database, "--query=" + statement});
  return finished.exit_code == 0 ? finished.output : "";
}

}  // namespace postern::support
