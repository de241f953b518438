// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/variants.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status.h"
#include "tests/bench/command.h"
#include "tests/bench/postern.h"

namespace postern::bench {
namespace {

class Nothing : public Variant {
 public:
  Nothing() : Variant("nothing") {}
  absl::Status Up() override { return absl::OkStatus(); }
  void Down() override {}
  bool tracks_processes() const override { return true; }
};

// Both rules are what hosts have today: whoever is not the mail server's user
// is rejected. The bench is root and passes, after the rule has looked.
class NftRule : public Variant {
 public:
  NftRule() : Variant("nft owner rule") {}
  absl::Status Up() override {
    RETURN_IF_ERROR(RunChecked({"nft",
                                "table inet postern_bench { chain output { type filter hook "
                                "output priority 0;\ntcp dport 25 meta skuid != 0 reject\n}\n}"})
                        .status());
    return absl::OkStatus();
  }
  void Down() override {
    RunChecked({"nft", "delete", "table", "inet", "postern_bench"}).status().IgnoreError();
  }
};

class IptablesRule : public Variant {
 public:
  IptablesRule() : Variant("iptables owner rule") {}
  absl::Status Up() override { return Change("-A"); }
  void Down() override { Change("-D").IgnoreError(); }

 private:
  static absl::Status Change(const std::string& action) {
    return RunChecked({"iptables", action, "OUTPUT", "-p", "tcp", "--dport", "25", "-m", "owner",
                       "!", "--uid-owner", "0", "-j", "REJECT"})
        .status();
  }
};

class PosternVariant : public Variant {
 public:
  PosternVariant(const Lab& lab, std::string bin, absl::string_view mode)
      : Variant(absl::StrCat("postern, ", mode)), lab_(lab), bin_(std::move(bin)), mode_(mode) {}
  absl::Status Up() override {
    ASSIGN_OR_RETURN(postern_, Postern::Start(lab_, bin_, mode_, /*with_collector=*/false));
    return absl::OkStatus();
  }
  void Down() override { postern_.reset(); }
  std::vector<uint32_t> Programs() const override { return postern_->Programs(); }
  bool tracks_processes() const override { return true; }

 private:
  const Lab& lab_;
  const std::string bin_;
  const std::string mode_;
  std::unique_ptr<Postern> postern_;
};

}  // namespace

std::unique_ptr<Variant> MakeNothing() { return std::make_unique<Nothing>(); }
std::unique_ptr<Variant> MakeNftRule() { return std::make_unique<NftRule>(); }
std::unique_ptr<Variant> MakeIptablesRule() { return std::make_unique<IptablesRule>(); }
std::unique_ptr<Variant> MakePostern(const Lab& lab, const std::string& bin,
                                     absl::string_view mode) {
  return std::make_unique<PosternVariant>(lab, bin, mode);
}

}  // namespace postern::bench
