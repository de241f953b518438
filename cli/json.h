// SPDX-License-Identifier: Apache-2.0
// JSON as `--json` prints it: one object a line, keys in the order they were set.
#ifndef POSTERN_CLI_JSON_H_
#define POSTERN_CLI_JSON_H_

#include <ostream>
#include <string>

#include <nlohmann/json.hpp>

#include "absl/strings/string_view.h"

namespace postern::cli {

using Json = nlohmann::ordered_json;

// Writes the line and its break. Control characters that JSON leaves as they are
// (DEL and C1) are escaped, bytes that are not UTF-8 replaced.
void WriteJson(std::ostream& out, const Json& json);
void WriteJsonText(std::ostream& out, absl::string_view json);

// Sets `key` unless there is no value.
void SetText(Json& json, const char* key, const std::string& value);
void SetTime(Json& json, const char* key, uint64_t time_ns);

}  // namespace postern::cli

#endif  // POSTERN_CLI_JSON_H_
