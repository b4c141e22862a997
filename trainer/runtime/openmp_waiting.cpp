// Limits how long OpenMP threads spin before they sleep. Runs before main() in programs that link this file.
//
// By default libgomp's threads spin for milliseconds at every barrier. If processes share processors, a spinning thread
// can block the thread that it waits for: two trainings on one machine took 3 to 13 times as long as one. libgomp reads
// GOMP_SPINCOUNT when it is loaded, so the program sets the variable and executes itself again. This happens before
// libraries are initialized (libtorch takes 0.2 s), and is skipped if GOMP_SPINCOUNT or OMP_WAIT_POLICY is already set
// or the program cannot be executed again.
#include <alloca.h>
#include <unistd.h>

#include <climits>
#include <string_view>

namespace sartor {
namespace {

// A few microseconds: as fast as the default if the program runs alone (docs/benchmarks.md, speed/two-trainings).
char spin_count[] = "GOMP_SPINCOUNT=2000";

// The C library is not initialized yet, so this uses only system calls and no sanitizer.
__attribute__((no_sanitize("address", "undefined", "thread"))) void limit_spinning(int, char** argv,
                                                                                   char** environment) {
  int size = 0;
  for (; environment[size]; size++) {
    const std::string_view variable = environment[size];
    if (variable.starts_with("GOMP_SPINCOUNT=") || variable.starts_with("OMP_WAIT_POLICY=")) return;
  }
  auto** extended = static_cast<char**>(alloca((size + 2) * sizeof(char*)));
  for (int i = 0; i < size; i++) extended[i] = environment[i];
  extended[size] = spin_count;
  extended[size + 1] = nullptr;

  char program[PATH_MAX];  // the real path, because ps shows the path that is passed to execve()
  const auto length = readlink("/proc/self/exe", program, sizeof program - 1);
  if (length <= 0) return;
  program[length] = 0;
  execve(program, argv, extended);
}

[[gnu::section(".preinit_array"), gnu::used]] void (*const before_libraries)(int, char**, char**) = limit_spinning;

}  // namespace
}  // namespace sartor
