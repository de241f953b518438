// SPDX-License-Identifier: Apache-2.0
// The collector's configuration file, read and checked.
#ifndef POSTERN_SERVER_CONFIG_H_
#define POSTERN_SERVER_CONFIG_H_

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "common/yaml.h"
#include "server/trust/trust_config.h"

namespace postern::server {

struct CollectorConfig {
  // Absolute, as all paths here.
  std::string run_dir = "/run/postern-collector";
  std::string sqlite_path = "/var/lib/postern-collector/events.db";
  absl::Duration retention = absl::Hours(24 * 90);
  TrustConfig trust;
  std::string metrics;  // "127.0.0.1:7426"; empty: not served
};

// Adds what is wrong to `faults`, each by file and line; the configuration is
// good when there is none.
CollectorConfig ReadCollectorConfig(const std::string& file, std::vector<YamlFault>& faults);
// The same of a text, for which `file` stands in messages.
CollectorConfig ParseCollectorConfig(const std::string& file, absl::string_view text,
                                     std::vector<YamlFault>& faults);

}  // namespace postern::server

#endif  // POSTERN_SERVER_CONFIG_H_
