// SPDX-License-Identifier: Apache-2.0
// The collector's configuration file, read and checked.
#ifndef POSTERN_SERVER_CONFIG_H_
#define POSTERN_SERVER_CONFIG_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "common/yaml.h"
#include "server/store/clickhouse/server_address.h"
#include "server/trust/trust_config.h"

namespace postern::server {

struct CollectorConfig {
  // Absolute, as all paths here.
  std::string run_dir = "/run/postern-collector";
  std::string sqlite_path = "/var/lib/postern-collector/events.db";
  // Instead of files.
  std::optional<clickhouse::ServerAddress> clickhouse;
  // Of `clickhouse`'s password; read at start. Empty: none.
  std::string store_password_file;
  absl::Duration retention = absl::Hours(24 * 90);
  TrustConfig trust;
  std::string metrics;  // "127.0.0.1:7426"; empty: not served

  // Where events stay, for people; without secrets.
  std::string StoreName() const { return clickhouse ? clickhouse->ToString() : sqlite_path; }
};

// Adds what is wrong to `faults`, each by file and line; the configuration is
// good when there is none.
CollectorConfig ReadCollectorConfig(const std::string& file, std::vector<YamlFault>& faults);
// The same of a text, for which `file` stands in messages.
CollectorConfig ParseCollectorConfig(const std::string& file, absl::string_view text,
                                     std::vector<YamlFault>& faults);

}  // namespace postern::server

#endif  // POSTERN_SERVER_CONFIG_H_
