// SPDX-License-Identifier: Apache-2.0
#include "tests/support/lab/small_disk.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "common/unique_fd.h"

namespace postern::lab {
namespace {

constexpr char kFiller[] = "filler";

}  // namespace

SmallDisk::SmallDisk(const std::string& folder, int mebibytes)
    : folder_(folder),
      holder_(support::Process::Start(
          {"unshare", "-m", "sh", "-c",
           absl::StrCat("mount -t tmpfs -o size=", mebibytes, "m,mode=0700 none ", folder,
                        " && echo mounted && exec sleep 600")})) {
  EXPECT_EQ(holder_->ReadLine().value_or(""), "mounted") << holder_->Error();
}

std::vector<std::string> SmallDisk::There() const {
  return {"nsenter", absl::StrCat("--mount=/proc/", holder_->pid(), "/ns/mnt")};
}

std::string SmallDisk::Path(const std::string& name) const {
  return absl::StrCat("/proc/", holder_->pid(), "/root", folder_, "/", name);
}

void SmallDisk::Fill() const {
  const UniqueFd file(open(Path(kFiller).c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  ASSERT_TRUE(file.valid()) << strerror(errno);
  const std::string chunk(size_t{1} << 20, 'x');
  for (size_t size = chunk.size(); size > 0;) {
    const ssize_t written = write(file.get(), chunk.data(), size);
    if (written != static_cast<ssize_t>(size)) size /= 2;
  }
  struct statvfs disk = {};
  ASSERT_EQ(statvfs(Path("").c_str(), &disk), 0);
  ASSERT_EQ(disk.f_bavail, 0u);
}

void SmallDisk::MakeRoom() const { ASSERT_TRUE(std::filesystem::remove(Path(kFiller))); }

}  // namespace postern::lab
