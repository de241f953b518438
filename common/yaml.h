// SPDX-License-Identifier: Apache-2.0
// Reads a configuration file so that every fault is told with its line, all of
// them in one go. A YamlReader loads one file and collects faults; a caller
// walks the nodes with the typed getters and asks `faults()` at the end.
//
// What a getter cannot read it records as a fault and answers like an absent
// key, so that the caller goes on and finds the next fault. A key that is there
// without a value is a fault.
//
// Refused as a whole: files above kMaxFileBytes, files without a single key (a
// disk that was full leaves such), and what common/yaml_syntax.h does not take.
//
// Not thread-safe. yaml-cpp's exceptions do not leave this class.
#ifndef POSTERN_COMMON_YAML_H_
#define POSTERN_COMMON_YAML_H_

#include <yaml-cpp/yaml.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"

namespace postern {

// "FILE:LINE: MESSAGE"; line counts from 1, 0: the file as a whole.
struct YamlFault {
  std::string file;
  int line = 0;
  std::string message;

  std::string ToString() const;
};

// A scalar and where it stands.
struct YamlText {
  std::string text;
  int line = 0;
};

struct YamlNumber {
  uint64_t value = 0;
  int line = 0;
};

class YamlReader {
 public:
  static constexpr size_t kMaxFileBytes = size_t{1} << 20;
  static constexpr int kMaxDepth = 32;

  // `file` is only read by Load(); Parse() takes it for messages.
  explicit YamlReader(std::string file) : file_(std::move(file)) {}

  // The document, always a map: an empty one where the text is refused or the
  // file could not be read, with the fault recorded.
  YAML::Node Load();
  YAML::Node Parse(absl::string_view text);

  // Records a fault unless `node` is a map whose keys are all among `known`,
  // each once. `what` names the map in messages ("a rule"); false only where
  // it is no map. Unknown keys are told with the nearest known one.
  bool CheckMap(const YAML::Node& node, absl::string_view what,
                absl::Span<const absl::string_view> known);

  // Whether the key is there at all, with or without a value.
  static bool Has(const YAML::Node& map, absl::string_view key);
  // The value as it is; an undefined node (false) for an absent key.
  static YAML::Node Get(const YAML::Node& map, absl::string_view key);
  // Of the node's first character, from 1.
  static int Line(const YAML::Node& node);
  // Of the key itself: where its value is missing, yaml-cpp places that value
  // on a later line. 0 for an absent key.
  static int KeyLine(const YAML::Node& map, absl::string_view key);

  std::optional<YamlText> Text(const YAML::Node& map, absl::string_view key);
  // One or a list; empty for an absent key and for an empty list.
  std::vector<YamlText> Texts(const YAML::Node& map, absl::string_view key);
  // One of `choices`; others are told with the nearest.
  std::optional<YamlText> Choice(const YAML::Node& map, absl::string_view key,
                                 absl::Span<const absl::string_view> choices);
  std::optional<bool> Bool(const YAML::Node& map, absl::string_view key);
  // Decimal, from `min` to `max`, both included.
  std::optional<YamlNumber> Number(const YAML::Node& map, absl::string_view key, uint64_t min,
                                   uint64_t max);
  std::vector<YamlNumber> Numbers(const YAML::Node& map, absl::string_view key, uint64_t min,
                                  uint64_t max);
  // "256MiB": a whole number and B, KiB, MiB, GiB or TiB; plain digits are bytes.
  std::optional<uint64_t> Bytes(const YAML::Node& map, absl::string_view key);
  // "90d": a whole number above zero and s, m, h, d or w.
  std::optional<absl::Duration> Duration(const YAML::Node& map, absl::string_view key);
  // The items of a list, each as it is (a list of maps).
  std::vector<YAML::Node> Items(const YAML::Node& map, absl::string_view key);

  void AddFault(int line, absl::string_view message);
  void AddFault(const YAML::Node& node, absl::string_view message);

  bool ok() const { return faults_.empty(); }
  // Tells whether one was added in between.
  size_t fault_count() const { return faults_.size(); }
  // In the order of lines.
  std::vector<YamlFault> faults() const;
  const std::string& file() const { return file_; }

 private:
  std::optional<YamlNumber> ToNumber(const YamlText& text, absl::string_view key, uint64_t min,
                                     uint64_t max);

  std::string file_;
  std::vector<YamlFault> faults_;
};

}  // namespace postern

#endif  // POSTERN_COMMON_YAML_H_
