// SPDX-License-Identifier: Apache-2.0
// `postern pki operator NAME`: key and certificate of somebody who reads.
#include <sys/stat.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "cli/command.h"
#include "cli/json.h"
#include "cli/text.h"
#include "common/atomic_file.h"
#include "common/pki/authority.h"
#include "common/status.h"
#include "common/time_text.h"

namespace postern::cli {
namespace {

// As long as a CA.
constexpr absl::Duration kLongest = absl::Hours(24 * 3650);

class PkiOperatorCommand : public Command {
 public:
  absl::StatusOr<ExitCode> Run(Console& console) override {
    ASSIGN_OR_RETURN(const absl::Duration valid, ReadValidity("--valid", valid_, kLongest));
    ASSIGN_OR_RETURN(const std::string out, AbsoluteFolder("--out", out_));
    const auto valid_ns = static_cast<uint64_t>(absl::ToInt64Nanoseconds(valid));
    const uint64_t now_ns = console.now();
    ASSIGN_OR_RETURN(pki::Authority authority, pki::Authority::Open(folder_));
    // First: what cannot be kept is not signed.
    if (mkdir(out.c_str(), 0700) != 0) {
      return ErrnoStatus(errno, absl::StrCat("cannot make the folder ", out));
    }
    const absl::Status issued =
        Issue(authority, out, absl::FromUnixNanos(static_cast<int64_t>(now_ns)), valid);
    if (!issued.ok()) {
      // Half of it would be in the way of the next try.
      std::error_code ignored;
      std::filesystem::remove_all(out, ignored);
      return issued;
    }
    if (json_) {
      Json json = Json::object();
      json["kind"] = "operator";
      json["name"] = name_;
      json["folder"] = out;
      SetTime(json, "expires", now_ns + valid_ns);
      json["hosts"] = hosts_;
      WriteJson(console.out, json);
      return ExitCode::kAnswered;
    }
    console.out << "Files of " << name_ << ", valid for " << FormatDuration(valid_ns) << ", in "
                << Printable(out)
                << ". With them:\n  postern query --collector COLLECTOR:7425 --ca "
                << Printable(out) << "/ca.pem --cert " << Printable(out) << "/cert.pem --key "
                << Printable(out) << "/key.pem\n";
    return ExitCode::kAnswered;
  }

  std::string folder_;
  std::string name_;
  std::string out_;
  std::vector<std::string> hosts_;
  std::string valid_ = "90d";
  bool json_ = false;

 private:
  absl::Status Issue(pki::Authority& authority, const std::string& out, absl::Time now,
                     absl::Duration valid) const {
    ASSIGN_OR_RETURN(const pki::Authority::KeyAndCertificate made,
                     authority.IssueOperator(name_, hosts_, now, valid));
    RETURN_IF_ERROR(WriteFileAtomically(out + "/ca.pem", authority.CertificatePem()));
    RETURN_IF_ERROR(WriteFileAtomically(out + "/cert.pem", made.certificate));
    return WriteFileAtomically(out + "/key.pem", made.key);
  }
};

}  // namespace

std::unique_ptr<Command> AddPkiOperatorCommand(CLI::App& pki) {
  auto command = std::make_unique<PkiOperatorCommand>();
  CLI::App* app = pki.add_subcommand("operator", "Make key and certificate of one who reads");
  command->app = app;
  app->add_option("name", command->name_, "whose")->option_text("NAME")->required();
  app->add_option("--out", command->out_, "folder to make for the files")
      ->option_text("DIR")
      ->required();
  app->add_option("--host", command->hosts_,
                  "only of this host, or of those that a\npattern names (web*); several: again")
      ->option_text("HOST");
  app->add_option("--valid", command->valid_, "for so long, from 1s to 3650d;\nif absent 90d")
      ->option_text("DURATION");
  AddPkiFolderOption(*app, command->folder_);
  AddJsonOption(*app, command->json_);
  app->footer(
      "Examples:\n"
      "  postern pki operator alice --out /root/alice\n"
      "  postern pki operator shop --host 'shop*' --valid 30d --out /root/shop");
  return command;
}

}  // namespace postern::cli
