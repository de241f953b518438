// SPDX-License-Identifier: Apache-2.0
#include "cli/json.h"

#include "absl/strings/str_format.h"
#include "common/time_text.h"

namespace postern::cli {

void WriteJsonText(std::ostream& out, absl::string_view json) {
  std::string line;
  line.reserve(json.size() + 1);
  for (size_t i = 0; i < json.size(); ++i) {
    const auto byte = static_cast<unsigned char>(json[i]);
    const auto next = static_cast<unsigned char>(i + 1 < json.size() ? json[i + 1] : 0);
    if (byte == 0x7f) {
      line += "\\u007f";
    } else if (byte == 0xc2 && next >= 0x80 && next <= 0x9f) {
      line += absl::StrFormat("\\u%04x", next);
      ++i;
    } else {
      line += json[i];
    }
  }
  line += '\n';
  out << line;
}

void WriteJson(std::ostream& out, const Json& json) {
  WriteJsonText(
      out, json.dump(/*indent=*/-1, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace));
}

void SetText(Json& json, const char* key, const std::string& value) {
  if (!value.empty()) json[key] = value;
}

void SetTime(Json& json, const char* key, uint64_t time_ns) {
  if (time_ns != 0) json[key] = FormatTime(time_ns);
}

}  // namespace postern::cli
