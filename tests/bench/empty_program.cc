// SPDX-License-Identifier: Apache-2.0
// An empty program where Postern's stands: at connect4 of the root.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "common/status.h"
#include "common/unique_fd.h"
#include "empty.skel.h"
#include "tests/bench/variants.h"

namespace postern::bench {
namespace {

class EmptyProgram : public Variant {
 public:
  explicit EmptyProgram(const Lab& lab) : Variant("empty program"), lab_(lab) {}
  ~EmptyProgram() override { Down(); }

  absl::Status Up() override {
    skeleton_ = bench_empty__open_and_load();
    if (skeleton_ == nullptr) return ErrnoStatus(errno, "cannot load the empty program");
    const UniqueFd cgroup(open(lab_.cgroup_root().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    link_ = bpf_program__attach_cgroup(skeleton_->progs.empty_connect4, cgroup.get());
    if (link_ == nullptr) {
      return ErrnoStatus(errno, absl::StrCat("cannot attach to ", lab_.cgroup_root()));
    }
    return absl::OkStatus();
  }

  void Down() override {
    bpf_link__destroy(link_);
    link_ = nullptr;
    bench_empty__destroy(skeleton_);
    skeleton_ = nullptr;
  }

  std::vector<uint32_t> Programs() const override {
    bpf_prog_info info = {};
    uint32_t size = sizeof(info);
    const int fd = bpf_program__fd(skeleton_->progs.empty_connect4);
    if (bpf_obj_get_info_by_fd(fd, &info, &size) != 0) return {};
    return {info.id};
  }

 private:
  const Lab& lab_;
  bench_empty* skeleton_ = nullptr;
  bpf_link* link_ = nullptr;
};

}  // namespace

std::unique_ptr<Variant> MakeEmptyProgram(const Lab& lab) {
  return std::make_unique<EmptyProgram>(lab);
}

}  // namespace postern::bench
