// SPDX-License-Identifier: Apache-2.0
#include "common/yaml_syntax.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/yaml.h"

namespace postern {
namespace {

using ::testing::HasSubstr;

// "LINE: MESSAGE"; "" where there is no fault.
std::string FaultOf(const std::string& text) {
  const auto fault = FindYamlSyntaxFault(text, YamlReader::kMaxDepth);
  return fault ? absl::StrCat(fault->line, ": ", fault->message) : "";
}

struct Slip {
  std::string text;
  std::string told;
};

TEST(YamlSyntaxTest, EachSlipIsToldAtTheLineWhereItIs) {
  const std::vector<Slip> slips = {
      // Quotes, of which yaml-cpp takes the rest of the file.
      {"mode: monitor\nhost: \"web1\nports: [25]\n", "2: a quote is opened here and not closed"},
      {"mode: monitor\nhost: 'web1", "2: a quote is opened here and not closed"},
      {"mode: monitor\nhost: \"web1\nports: [25]\nevents: \"none\"\ndefault: deny\n",
       "2: a quote is opened here and not closed"},
      {"mode: monitor\nhost: 'web1\nports: [25]\nevents: 'none'\n",
       "2: a quote is opened here and not closed"},
      {"mode: monitor\nhost: 'it''s\nports: [25]\n", "2: a quote is opened here"},
      {"mode: monitor\nhost: \"a\\\"\nports: [25]\n", "2: a quote is opened here"},
      {"rules:\n  - name: a\n    user: [\"x, y]\n  - name: \"b\"\n", "3: a quote is opened here"},
      {"host: 'it's me'\n", "1: a quote is closed, but text follows it"},
      {"mode: monitor\nhost: \"x\" y\ndefault: deny\n", "2: a quote is closed, but text"},
      {"mode: monitor\nhost: \"\xff\"\n", "2: holds a byte that is not UTF-8 (0xff)"},
      {"mode: monitor\n# caf\xe9\n", "2: holds a byte that is not UTF-8 (0xe9)"},
      // Brackets.
      {"mode: monitor\nports: [25, 465\ndefault: deny\n", "2: a list or map in brackets lacks"},
      {"mode: monitor\nports: [25, 465\n", "2: a list or map in brackets lacks"},
      {"mode: monitor\nports: [25, 465", "2: a list or map in brackets lacks"},
      {"mode: monitor\r\nports: [25\r\nhost: x\r\n", "2: a list or map in brackets lacks"},
      {"ports: [\n  25,\n  465\n  587]\n", "3: a list or map in brackets lacks a ','"},
      {"mode: monitor\nports: [25, [465],\nhost: x\n", "2: a bracket is opened here and not"},
      {"mode: monitor\nports: [25, \"465\"\ndefault: deny\n", "2: a bracket is opened here"},
      {"mode: monitor\nspool: {max_bytes: 3\ndefault: deny\n", "2: a list or map in brackets"},
      {"rules:\n  - {name: \"a\"\n  - {name: b}\n", "2: a bracket is opened here"},
      {"rules:\n  - name: a\n    user: [x, y\n    exe: /z\nmode: monitor\n", "3: a list or map in"},
      {"mode: monitor\nports: [25]]\ndefault: deny\n", "2: not valid YAML: illegal flow end"},
      // Tabs.
      {"mode: monitor\nrules:\n\t- name: a\n", "3: is indented by a tab"},
      {"rules:\n  - name: a\n\tuser: b\n", "3: is indented by a tab"},
      {"mode: monitor\nspool:\n \tmax_bytes: 3\n", "3: is indented by a tab"},
      // Keys without their ':', or without the space after it.
      {"mode:monitor\nports: [25]\n", "1: 'mode:monitor' is no key: ':' and a space must follow"},
      {"mode: monitor\nports:[25]\ndefault: deny\n", "2: 'ports:[25]' is no key"},
      {"mode: monitor\nports:[25]\n", "2: 'ports:[25]' is no key"},
      {"# a comment\n\nmode monitor\nports: [25]\n", "3: 'mode monitor' is no key"},
      {"ports: [25]\nmode monitor\n\n# a comment\ndefault: deny\n", "2: is neither 'key: value'"},
      {"spool: {max_bytes:3}\n", "1: 'max_bytes:3' is no key"},
      {"mode\n", "1: 'mode' is no key"},
      {"rules:\n  -name: a\n    user: b\n", "2: '-name' is no key: a space must follow the '-'"},
      // Values.
      {"mode: monitor\nhost: a: b\ndefault: deny\n", "2: a ':' stands where none can"},
      {"events: /var/log/a\n\n  b\n", "3: is indented deeper than the line above"},
      {"mode: monitor\nhost: |\n  web1\n", "2: blocks of text (| and >) are not read here"},
      {"mode: monitor\nhost: \"a\\q\"\n", "2: not valid YAML: unknown escape character: q"},
      {"mode: monitor\nhost: @x\n", "2: not valid YAML: unknown token"},
      // Indentation.
      {"mode: monitor\n  ports: [25]\ndefault: deny\n", "2: is indented deeper than"},
      {"rules:\n  - name: a\n   user: b\n    action: allow\n", "3: is neither 'key: value' nor"},
      {"rules:\n  - name: a\n     user: b\n", "3: is indented deeper than the line above"},
      {"mode: monitor\n- a\n", "2: is neither 'key: value' nor an item"},
  };
  for (const Slip& slip : slips) EXPECT_THAT(FaultOf(slip.text), HasSubstr(slip.told)) << slip.text;
}

TEST(YamlSyntaxTest, WhatIsWellFormedIsNotComplainedOf) {
  for (const char* text : {
           "mode: monitor\n",
           "---\nmode: monitor\n...\n",
           "\xef\xbb\xbfhost: \"a b\"\n",
           "mode: monitor\r\nports: [25, 465]\r\n",
           "host: 'it''s'\nevents: \"a \\\" # b\" # c\n",
           "\"mode\": monitor\n'ports' : [25,\n  465,\n  587]\n",
           "{\"mode\":monitor, spool: {max_bytes: 3}}\n",
           "rules:\n- name: a # why\n  exe:\n    - /b\n    - \"/c\"\n# end\n",
           "rules:\n  - {name: a, user: [b,\n      c]}\n  -\n    name: d\n",
           "mode:\n",
           "spool: {}\nrules: []\n",
           "exe: /a#b\nhost: a:b\n",
           "host: \u00e9\u4e2d, x\n",
           "{}\n",
       }) {
    EXPECT_EQ(FaultOf(text), "") << text;
  }
}

TEST(YamlSyntaxTest, AFileWithoutAKeyIsRefused) {
  for (const char* text : {"", "\n\n", "# all gone\n", "---\n", "~\n", "\xef\xbb\xbf"}) {
    EXPECT_THAT(FaultOf(text), HasSubstr("1: no key is set here: restore the file")) << text;
  }
}

TEST(YamlSyntaxTest, BytesThatAreNoTextAreRefusedWithTheirLine) {
  // Blocks that a crash left unwritten.
  EXPECT_THAT(FaultOf(std::string(4096, '\0')),
              HasSubstr("1: holds a byte that is no text (0x00)"));
  EXPECT_THAT(FaultOf(std::string("mode: monitor\n\0\0", 16)), HasSubstr("2: holds a byte"));
  // For yaml-cpp the end of the file.
  EXPECT_THAT(FaultOf("mode: monitor\n\x04\nrules: []\n"), HasSubstr("2: holds a byte"));
  EXPECT_THAT(FaultOf("host: a\x1b[2J\n"), HasSubstr("1: holds a byte that is no text (0x1b)"));
}

TEST(YamlSyntaxTest, TagsAreRefused) {
  for (const char* text :
       {"mode: !x monitor\n", "!x mode: monitor\n", "ports: !!seq [25]\n", "mode: ! monitor\n"}) {
    EXPECT_THAT(FaultOf(text), HasSubstr("1: tags (!name) are not read here")) << text;
  }
}

}  // namespace
}  // namespace postern
