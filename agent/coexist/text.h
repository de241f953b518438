// SPDX-License-Identifier: Apache-2.0
// Texts of others, taken apart and made fit to be shown. Pure functions.
#ifndef POSTERN_AGENT_COEXIST_TEXT_H_
#define POSTERN_AGENT_COEXIST_TEXT_H_

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace postern::coexist {

using Ports = std::set<uint16_t>;

// At most `length` bytes of it; what is no printable ASCII becomes `?`.
std::string Shown(absl::string_view text, size_t length = 200);

// At spaces; "a b" is one word, its quotes kept. Backslash hides a quote in it.
std::vector<std::string> Words(absl::string_view text);

// Whether one of `ports` is in a list such as `25,465`, `{ 25, 465 }` or `25:30`,
// `20-30`. What is no number is passed over.
bool NamesOneOf(const Ports& ports, absl::string_view list);
// The same of a list that says which it is not.
bool LeavesOneOf(const Ports& ports, absl::string_view list);

}  // namespace postern::coexist

#endif  // POSTERN_AGENT_COEXIST_TEXT_H_
