#include "runtime/signals.h"

#include <algorithm>
#include <atomic>
#include <thread>

namespace sartor {
namespace {

std::atomic<int> noted = 0;

bool is_ignored(int signal) {
  struct sigaction now {};
  return sigaction(signal, nullptr, &now) == 0 && now.sa_handler == SIG_IGN;
}

// Without an ignored SIGHUP, because sigwait() also receives blocked signals that are ignored.
sigset_t signals_to_catch() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : stop_signals) {
    if (signal != SIGHUP || !is_ignored(signal)) sigaddset(&signals, signal);
  }
  return signals;
}

void end_by(int signal) {
  std::signal(signal, SIG_DFL);
  const auto unblocked = signals_to_catch();
  pthread_sigmask(SIG_UNBLOCK, &unblocked, nullptr);
  std::raise(signal);
}

}  // namespace

StopFlags stop_flags(int signal) {
  StopFlags flags = {};
  for (size_t i = 0; i < flags.size(); i++) flags[i] = stop_signals[i] == signal ? 1 : 0;
  return flags;
}

int signal_of(std::span<const double> flags) {
  const auto first = std::ranges::find_if(flags, [](double flag) { return flag > 0; }) - flags.begin();
  return first < std::ssize(flags) ? stop_signals[first] : 0;
}

void catch_stop_signals(bool launched) {
  noted = 0;
  // A dedicated thread waits for the signals and all others block them. A signal handler would corrupt oneDNN's AVX2
  // matrix products, which keep values below the stack pointer, where the handler's frame is written.
  const auto signals = signals_to_catch();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::thread([signals, launched] {
    for (int signal = 0; sigwait(&signals, &signal) == 0;) {
      if (noted && !launched) end_by(signal);
      noted = signal;
    }
  }).detach();
}

int stop_signal() { return noted; }

const char* signal_name(int signal) { return signal == SIGINT ? "SIGINT" : signal == SIGTERM ? "SIGTERM" : "SIGHUP"; }

}  // namespace sartor
