#include "runtime/signals.h"

#include <atomic>
#include <csignal>
#include <thread>

namespace sartor {
namespace {

std::atomic<int> noted = 0;

sigset_t stop_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  return signals;
}

void end_by(int signal) {
  std::signal(signal, SIG_DFL);
  const auto unblocked = stop_signals();
  pthread_sigmask(SIG_UNBLOCK, &unblocked, nullptr);
  std::raise(signal);
}

}  // namespace

void catch_stop_signals(bool launched) {
  noted = 0;
  // A thread waits for them and all others block them, as no handler may interrupt a product: oneDNN's for AVX2 keep
  // values below the end of the stack, where a handler would write.
  const auto signals = stop_signals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::thread([signals, launched] {
    for (int signal = 0; sigwait(&signals, &signal) == 0;) {
      if (noted && !launched) end_by(signal);
      noted = signal;
    }
  }).detach();
}

int stop_signal() { return noted; }

}  // namespace sartor
