// Number of processors available to this process.
#pragma once

#include <string>

namespace sartor::cuda {

// Processors in the affinity mask, limited by the CPU quota of the control groups, rounded up: 8 in a container with a
// quota of 7.5 on a machine with 64 processors. At least 1.
int available_threads();

// CPU quota in processors: the minimum over the control groups of this process and their ancestors; infinity without a
// limit. Reads /proc/self/cgroup and, in /sys/fs/cgroup, cpu.max (version 2) or cpu.cfs_quota_us and cpu.cfs_period_us
// (version 1). `root` is prepended to these paths.
double cpu_quota(const std::string& root = "");

}  // namespace sartor::cuda
