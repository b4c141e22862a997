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
  struct sigaction action = {};
  action.sa_handler = note;
  action.sa_flags = SA_RESTART;  // reads and writes under way go on
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

int stop_signal() { return noted; }

}  // namespace sartor
