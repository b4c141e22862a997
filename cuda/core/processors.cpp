#include "core/processors.h"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>

namespace sartor::cuda {
namespace {

constexpr double unlimited = std::numeric_limits<double>::infinity();

double ratio(double quota, double period) { return quota > 0 && period > 0 ? quota / period : unlimited; }

// cpu.max holds "150000 100000" or "max 100000".
double quota_v2(const std::string& folder) {
  double quota = 0, period = 0;
  std::ifstream(folder + "/cpu.max") >> quota >> period;
  return ratio(quota, period);
}

double quota_v1(const std::string& folder) {
  double quota = 0, period = 0;
  std::ifstream(folder + "/cpu.cfs_quota_us") >> quota;  // -1 without a limit
  std::ifstream(folder + "/cpu.cfs_period_us") >> period;
  return ratio(quota, period);
}

// The lowest quota of a group and its ancestors. In a container, the name in /proc/self/cgroup may not exist under the
// mount point; then the mounted folder is the group itself.
double tightest(double (*quota)(const std::string&), const std::string& mount, std::string group) {
  double least = unlimited;
  while (!group.empty() && group != "/") {
    least = std::min(least, quota(mount + group));
    group.resize(group.rfind('/'));
  }
  return std::min(least, quota(mount));
}

bool lists_cpu(const std::string& controllers) { return ("," + controllers + ",").find(",cpu,") != std::string::npos; }

}  // namespace

double cpu_quota(const std::string& root) {
  std::ifstream groups(root + "/proc/self/cgroup");
  const std::string mounts = root + "/sys/fs/cgroup";
  double least = unlimited;
  for (std::string line;
       std::getline(groups, line);) {  // "4:cpu,cpuacct:/docker/12ab", or in version 2 "0::/user.slice"
    const auto first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos || line.compare(second + 1, 1, "/") != 0) continue;
    const auto controllers = line.substr(first + 1, second - first - 1), group = line.substr(second + 1);
    if (controllers.empty()) {
      least = std::min(least, tightest(quota_v2, mounts, group));
    } else if (lists_cpu(controllers)) {
      for (const auto& name : {std::string("cpu"), controllers}) {
        least = std::min(least, tightest(quota_v1, mounts + "/" + name, group));
      }
    }
  }
  return least;
}

int available_threads() {
  cpu_set_t set;
  const int processors = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
  return std::max(1, static_cast<int>(std::min<double>(processors, std::ceil(cpu_quota()))));
}

}  // namespace sartor::cuda
