// A library for LD_PRELOAD that makes ranks slow: a rank waits before it names a part of a job.
//
//   SARTOR_DELAYS     milliseconds per part for each rank (RANK), separated by commas
//   SARTOR_DELAY_LOG  file to which a line is appended for each part: rank and end in milliseconds of the system's
//   clock
#include <dlfcn.h>
#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

using Milliseconds = std::chrono::milliseconds;

const char* setting(const char* name) {
  const char* value = getenv(name);
  return value ? value : "";
}

bool is_part(const char* path) { return strstr(path, ".parts/part-") && !strstr(path, ".rejects.tsv"); }

long delay(int rank) {
  const char* delays = setting("SARTOR_DELAYS");
  for (; rank > 0 && delays; rank--) delays = strchr(delays, ',') ? strchr(delays, ',') + 1 : nullptr;
  return delays ? atol(delays) : 0;
}

void log_part(int rank) {
  const int file = open(setting("SARTOR_DELAY_LOG"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (file < 0) return;
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  char line[64];
  const int size = snprintf(line, sizeof line, "%d %lld\n", rank,
                            static_cast<long long>(std::chrono::duration_cast<Milliseconds>(now).count()));
  if (write(file, line, size) != size) abort();
  close(file);
}

}  // namespace

// NOLINTNEXTLINE: the name and signature are libc's
extern "C" __attribute__((visibility("default"))) int rename(const char* from, const char* to) noexcept {
  static const auto next = reinterpret_cast<decltype(&rename)>(dlsym(RTLD_NEXT, "rename"));
  if (!is_part(to)) return next(from, to);
  const int rank = atoi(setting("RANK"));
  usleep(static_cast<useconds_t>(1'000 * delay(rank)));
  const int result = next(from, to);
  log_part(rank);
  return result;
}
