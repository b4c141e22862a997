// CPU quotas of control groups, read from folders with the layout of Linux.
#include "core/processors.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <limits>
#include <string>

#include "support/folder_test.h"

namespace sartor::cuda {
namespace {

class CpuQuota : public testing::FolderTest {
 protected:
  void add(const std::string& file, const std::string& text) const {
    std::filesystem::create_directories(std::filesystem::path(path(file)).parent_path());
    write(file, text);
  }
  double quota() const { return cpu_quota(folder_); }
  static constexpr double unlimited = std::numeric_limits<double>::infinity();
};

TEST_F(CpuQuota, IsInfiniteWithoutControlGroups) { EXPECT_EQ(quota(), unlimited); }

TEST_F(CpuQuota, OfVersionTwo) {
  add("proc/self/cgroup", "0::/user.slice/run-1.scope\n");
  add("sys/fs/cgroup/user.slice/run-1.scope/cpu.max", "max 100000\n");
  EXPECT_EQ(quota(), unlimited);
  add("sys/fs/cgroup/user.slice/run-1.scope/cpu.max", "350000 100000\n");
  EXPECT_EQ(quota(), 3.5);
}

TEST_F(CpuQuota, TheTightestGroupOfThoseAboveCounts) {
  add("proc/self/cgroup", "0::/a/b/c\n");
  add("sys/fs/cgroup/a/b/c/cpu.max", "400000 100000\n");
  add("sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
  add("sys/fs/cgroup/a/cpu.max", "75000 50000\n");
  EXPECT_EQ(quota(), 1.5);
}

TEST_F(CpuQuota, OfAContainerThatSeesItsGroupAsTheRoot) {
  add("proc/self/cgroup", "0::/docker/12ab\n");
  add("sys/fs/cgroup/cpu.max", "200000 100000\n");
  EXPECT_EQ(quota(), 2);
}

TEST_F(CpuQuota, OfVersionOne) {
  add("proc/self/cgroup", "12:cpuset:/\n4:cpu,cpuacct:/docker/12ab\n2:memory:/docker/12ab\n0::/\n");
  add("sys/fs/cgroup/cpu,cpuacct/docker/12ab/cpu.cfs_quota_us", "-1\n");
  add("sys/fs/cgroup/cpu,cpuacct/docker/12ab/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(quota(), unlimited);
  add("sys/fs/cgroup/cpu,cpuacct/docker/12ab/cpu.cfs_quota_us", "150000\n");
  EXPECT_EQ(quota(), 1.5);
}

TEST_F(CpuQuota, OfVersionOneUnderItsShortName) {
  add("proc/self/cgroup", "1:cpu:/group\n");
  add("sys/fs/cgroup/cpu/group/cpu.cfs_quota_us", "50000\n");
  add("sys/fs/cgroup/cpu/group/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(quota(), 0.5);
}

TEST_F(CpuQuota, PassesOverWhatItCannotRead) {
  add("proc/self/cgroup", "no groups\n0::\n:::\n3:cpu:/x\n0::/x\n");
  add("sys/fs/cgroup/cpu/x/cpu.cfs_quota_us", "many\n");
  add("sys/fs/cgroup/x/cpu.max", "100000 0\n");
  EXPECT_EQ(quota(), unlimited);
}

TEST(AvailableThreads, AreNoMoreThanTheQuota) {
  EXPECT_GE(available_threads(), 1);
  EXPECT_LE(available_threads(), cpu_quota() + 1);
}

}  // namespace
}  // namespace sartor::cuda
