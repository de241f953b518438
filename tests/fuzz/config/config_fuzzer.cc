// SPDX-License-Identifier: Apache-2.0
// Any text as agent.yaml: read, checked, and where it is accepted, compiled and
// judged by.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "agent/policy/compiler.h"
#include "agent/policy/evaluator.h"
#include "agent/policy/explain.h"
#include "agent/policy/loader.h"
#include "tests/unit/agent/policy/fake_host.h"

namespace {

using postern::policy::BinaryId;

void Judge(const postern::policy::Config& config) {
  const auto policy = postern::policy::Compile(config, [](const std::string& path) {
    return absl::StatusOr<BinaryId>(BinaryId{1, {path.size(), 1}});
  });
  // What the checks accept must compile.
  if (!policy.ok()) abort();
  postern::policy::Subject subject;
  subject.port = 25;
  subject.gids = {0, 8};
  subject.binary = BinaryId{1, {26, 1}};
  subject.script = "/x";
  const auto evaluation = postern::policy::Evaluator(*policy).Evaluate(subject);
  if (postern::policy::Explain(config, subject, {}, evaluation).empty()) abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const auto host = postern::policy::FakeHost::WithPostfix();
  const std::string text(reinterpret_cast<const char*>(data), size);
  for (const auto missing :
       {postern::policy::Missing::kRefuse, postern::policy::Missing::kLeaveOut}) {
    const auto loaded = postern::policy::LoadConfig("agent.yaml", text, host, missing);
    if (loaded.ok() == loaded.findings.has_faults()) abort();
    for (const std::string& line : loaded.Lines()) {
      if (line.find('\n') != std::string::npos) abort();
    }
    if (loaded.ok()) Judge(*loaded.config);
  }
  return 0;
}
