// How long OpenMP's threads spin before they sleep. Linked into a program, this file does its work before main().
//
// By default libgomp's threads spin at every barrier for milliseconds. Where processes share processors, a thread that
// spins keeps the one that it waits for from running: two trainings on one machine took 3 to 13 times as long as one.
// libgomp reads GOMP_SPINCOUNT when it is loaded, so the program replaces itself by itself with that variable set. This
// happens before the libraries initialise themselves (libtorch takes 0.2 s), and not at all where GOMP_SPINCOUNT or
// OMP_WAIT_POLICY is set already or the program cannot be started again.
#include <alloca.h>
#include <unistd.h>

#include <climits>
#include <string_view>

namespace sartor {
namespace {

// Some microseconds: as fast as spinning for a program alone (docs/benchmarks.md, speed/two-trainings).
char spin_count[] = "GOMP_SPINCOUNT=2000";

// The C library is not initialised yet: system calls alone, and no sanitizer.
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

  char program[PATH_MAX];  // by its own name: ps shows what exec() is given
  const auto length = readlink("/proc/self/exe", program, sizeof program - 1);
  if (length <= 0) return;
  program[length] = 0;
  execve(program, argv, extended);
}

[[gnu::section(".preinit_array"), gnu::used]] void (*const before_libraries)(int, char**, char**) = limit_spinning;

}  // namespace
}  // namespace sartor
