#include "runtime/signals.h"

#include <csignal>

namespace sartor {
namespace {

volatile std::sig_atomic_t noted = 0, repeated = 0;  // handlers can reach nothing but globals

void note(int signal) {
  noted = signal;
  if (repeated) return;
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
}

}  // namespace

void catch_stop_signals(bool launched) {
  noted = 0;
  repeated = launched;
  // A stack of its own: oneDNN's products for AVX2 keep values below the end of the stack, where a handler would write.
  // Signals to a process go to its main thread, which is this one, unless it blocks them: so not even in the handler.
  alignas(16) static char stack[1 << 16];
  const stack_t apart = {.ss_sp = stack, .ss_flags = 0, .ss_size = sizeof stack};
  sigaltstack(&apart, nullptr);
  struct sigaction action = {};
  action.sa_handler = note;
  action.sa_flags = SA_RESTART | SA_ONSTACK | SA_NODEFER;  // reads and writes under way go on
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

int stop_signal() { return noted; }

}  // namespace sartor
