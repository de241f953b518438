// SPDX-License-Identifier: Apache-2.0
#include "tests/kernel/ways/way.h"

namespace postern::testing::ways {
namespace {

const Policy kUsersFile = {.shown = "user, exe", .user = 105, .exe = "{sbin}/users", .honest = {}};
const Policy kDynamic = {.shown = "user, exe",
                         .user = 105,
                         .exe = "{sbin}/dynamic",
                         .honest = {"{sbin}/dynamic", "--uid=105", "{to}", "{port}"}};

// Refused, with this record.
Way Closed(const char* id, const char* title, std::vector<std::string> line, const char* recorded) {
  return {.id = id,
          .title = title,
          .line = std::move(line),
          .policy = &kSender,
          .without = kPasses,
          .with = kRefused,
          .recorded = recorded};
}

Way BindOver(const char* id, const char* title, const char* how, const char* source,
             const char* recorded) {
  return Closed(id, title,
                {"{attacks}/bind_over", how, "105", source, "{sbin}/allowed", "{to}", "{port}"},
                recorded);
}

std::vector<std::string> AsMailer(const std::string& command) {
  return {"/usr/bin/setpriv", "--reuid=105", "--regid=105", "--clear-groups",
          "/bin/sh",          "-c",          command};
}

}  // namespace

const Policy kSender = {.shown = "user, exe",
                        .user = 105,
                        .exe = "{sbin}/allowed",
                        .honest = {"{sbin}/allowed", "--uid=105", "{to}", "{port}"}};

std::vector<Way> Files() {
  std::vector<Way> ways = {
      Closed("OtherProgram", "the allowed user with a program of its own",
             {"{attacks}/connect", "--uid=105", "{to}", "{port}"},
             "denied by default: uid 105, connect, exec"),
      Closed("Copy", "a copy of the allowed program",
             {"{home}/allowed", "--uid=105", "{to}", "{port}"},
             "denied by default: uid 105, home/allowed, exec"),
      Closed("HardLink", "a hard link to the allowed program",
             {"{sbin}/link", "--uid=105", "{to}", "{port}"},
             "denied by default: uid 105, sbin/link, exec"),
      Closed("Memfd", "a program in memory (memfd)",
             {"{attacks}/nameless", "memfd", "{home}", "{sbin}/allowed", "--uid=105", "{to}",
              "{port}"},
             "denied by default: uid 105, memfd:innocent, exec, unlinked"),
      Closed("Deleted", "a program that is deleted before it runs (execveat)",
             {"{attacks}/nameless", "deleted", "{home}", "{sbin}/allowed", "--uid=105", "{to}",
              "{port}"},
             "denied by default: uid 105, home/deleted, exec, unlinked"),
      Closed("DeletedInPlace", "the allowed program's own folder, the file deleted",
             {"{attacks}/nameless", "deleted", "{sbin}", "{sbin}/allowed", "--uid=105", "{to}",
              "{port}"},
             "denied by default: uid 105, sbin/deleted, exec, unlinked"),
      BindOver("BindMount", "a bind mount over the allowed program", "root", "{home}/allowed",
               "denied by default: uid 105, home/allowed, exec"),
      BindOver("OwnBindMount", "the same, in user and mount namespaces of one's own", "userns",
               "{home}/allowed",
               "denied by default: uid 105, home/allowed, exec, in a user namespace"),
      BindOver("Chroot", "a root folder of one's own, with a program under the allowed path",
               "chroot", "{jail}", "denied by default: uid 105, jail/allowed, exec"),
      Closed("ForgedLink", "/proc/PID/exe forged by PR_SET_MM_MAP",
             {"{attacks}/forge_exe", "self", "105", "{sbin}/allowed", "{to}", "{port}"},
             "denied by default: uid 105, forge_exe, exec, in a user namespace"),
      Closed("LinkForgedByChild", "the same by a child that shares its memory",
             {"{attacks}/forge_exe", "child", "105", "{sbin}/allowed", "{to}", "{port}"},
             "denied by default: uid 105, forge_exe, exec"),
      Closed("LateOwner", "an allowed program that became its user's later, overwritten in place",
             {"/bin/sh", "-c",
              "chown 105 {sbin}/allowed && exec setpriv --reuid=105 --regid=105 --clear-groups "
              "/bin/sh -c 'cat {attacks}/connect >{sbin}/allowed && exec {sbin}/allowed {to} "
              "{port}'"},
             "denied by default: uid 105, sbin/allowed, exec, untrusted"),
  };
  ways.push_back(BindOver("Overlay", "an overlay over the allowed program's folder", "overlay",
                          "{home}/allowed", "denied by default: uid 105, allowed, exec"));
  ways.back().feature = "overlayfs";

  Way forged_early =
      Closed("ForgedEarly", "the link forged before the agent's first start",
             {"{attacks}/forge_exe", "child", "105", "{sbin}/allowed", "{to}", "{port}", "wait"},
             "denied by default: uid 105, sbin/allowed, seeded");
  forged_early.early = true;
  forged_early.note =
      "Nobody saw it start, so the record shows what it shows, and `seeded` says that this "
      "proves nothing.";
  ways.push_back(forged_early);

  Way users = Closed("UsersFile", "an allowed program that its user can overwrite in place",
                     AsMailer("cat {attacks}/connect >{sbin}/users && exec {sbin}/users {to} "
                              "{port}"),
                     kNothing);
  users.policy = &kUsersFile;
  users.with = "the policy is refused: belongs to uid 105, not to root";
  ways.push_back(users);

  Way late = Closed(
      "LateWriter", "a descriptor for writing, from before the program was root's",
      {"{attacks}/late_writer", "105", "{sbin}/users", "{attacks}/connect", "{to}", "{port}"},
      kNothing);
  late.policy = &kUsersFile;
  late.early = true;
  late.with = "the policy is refused: is open for writing";
  ways.push_back(late);

  Way loader = Closed("Loader", "the dynamic loader, with the allowed program as its argument",
                      {"{loader}", "{sbin}/dynamic", "--uid=105", "{to}", "{port}"},
                      "denied by default: uid 105, {loader name}, exec");
  loader.policy = &kDynamic;
  ways.push_back(loader);
  return ways;
}

}  // namespace postern::testing::ways
