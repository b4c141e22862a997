// How many processors this process may use.
#pragma once

#include <string>

namespace sartor::cuda {

// Of the processors of its affinity, no more than the CPU time that its control groups allow: 8 in a container that may
// use 7.5 processors of 64. At least 1.
int available_threads();

// Processors' worth of CPU time that the control groups of this process allow, the tightest of them and of those above;
// infinity without a limit. Reads /proc/self/cgroup and, under /sys/fs/cgroup, cpu.max (version 2) or cpu.cfs_quota_us
// and cpu.cfs_period_us (version 1). `root` stands before those paths.
double cpu_quota(const std::string& root = "");

}  // namespace sartor::cuda
