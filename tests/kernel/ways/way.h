// SPDX-License-Identifier: Apache-2.0
// The ways around Postern, as the table in docs/policy.md lists them: what each does,
// under which policy, and what comes of it. One list a file; ways_test.cc runs them.
#ifndef POSTERN_TESTS_KERNEL_WAYS_WAY_H_
#define POSTERN_TESTS_KERNEL_WAYS_WAY_H_

#include <ostream>
#include <string>
#include <vector>

namespace postern::testing::ways {

// In all texts that name files or commands: {attacks}, the attack programs; {sbin},
// a folder of root's with `allowed` (the program connect.c), `dynamic` (the same,
// linked dynamically), `helper` (the same, setuid root), `link` (a hard link to
// `allowed`) and `users` (the same, of uid 105); {home}, a folder with another
// `allowed`; {jail}, one in which {sbin}/allowed is that of {home}; {cgroup}, a
// cgroup of the test's own; {to} and {port}, where the watched listener is; {next port}, where none
// is.
struct Policy {
  const char* shown;  // what the rule names, for the table
  int user = -1;
  const char* exe = "";
  bool started_as_root = false;
  const char* unit = "";
  bool denies_raw_sockets = false;
  bool resets_earlier = false;
  // Who is meant to pass, and does: else a refusal would prove nothing.
  std::vector<std::string> honest = {};
};

struct Way {
  const char* id;
  const char* title;
  std::vector<std::string> line;
  const Policy* policy;
  const char* without;  // see ways_test.cc for the words of these three
  const char* with;
  const char* recorded;
  // What a kernel may come without; such a kernel is named in the table.
  const char* feature = "";
  // Below the table: why it is not closed, or what more there is to know.
  const char* note = "";
  bool early = false;         // begins before the policy is put in force, and waits for it
  bool wants_word = false;    // cannot tell a refusal by itself: waits for a line then
  bool own_listener = false;  // does not go to the test host's
  bool answered = false;      // sends a SYN of its own; passes where that is answered
  // Says what it came to, and holds what it has until the end of its input.
  bool holds = false;
  // Where BPF LSM is active, if that differs.
  const char* with_lsm = nullptr;
  const char* recorded_with_lsm = nullptr;
};

inline std::ostream& operator<<(std::ostream& out, const Way& way) { return out << way.id; }

// What the columns say most often.
inline constexpr char kPasses[] = "passes";
inline constexpr char kRefused[] = "refused: EPERM";
inline constexpr char kNothing[] = "nothing";

// The policies. In all of them everything else is denied.
extern const Policy kNobody;        // nobody is allowed
extern const Policy kUser;          // uid 105
extern const Policy kSender;        // uid 105 with {sbin}/allowed
extern const Policy kSenderOfRoot;  // the same, started_as root
extern const Policy kNoRawSockets;  // nobody, with raw_sockets: deny
extern const Policy kResets;        // nobody, with earlier_connections: reset

std::vector<Way> Calls();      // by which system calls, and in which namespaces
std::vector<Way> Files();      // under which name a program runs
std::vector<Way> Processes();  // inside of whom, and with whose ids
std::vector<Way> Outside();    // what connect() does not tell, or not of TCP
std::vector<Way> Past();       // what never comes by connect(), or came before Postern

}  // namespace postern::testing::ways

#endif  // POSTERN_TESTS_KERNEL_WAYS_WAY_H_
