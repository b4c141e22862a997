// Handles SIGINT, SIGTERM and SIGHUP as stop requests that loops poll.
#pragma once

#include <array>
#include <csignal>
#include <span>
#include <stdexcept>
#include <string>

namespace sartor {

inline constexpr std::array stop_signals = {SIGINT, SIGTERM, SIGHUP};

const char* signal_name(int signal);  // "SIGINT"

// Which of the signals any of several processes received is the sum of their flags: 1 for the signal, 0 for the others.
using StopFlags = std::array<double, stop_signals.size()>;
StopFlags stop_flags(int signal);
int signal_of(std::span<const double> flags);  // the first with a flag above 0; 0 if there is none

// From now on the first stop signal is only recorded; a second one kills the process. If `launched` by torchrun, later
// ones are recorded, too: torchrun forwards signals that a batch system has already sent to all processes, and kills
// slow processes itself. SIGHUP remains ignored if it is ignored now, as under nohup. Call this before other threads
// start: only later threads inherit the signal mask.
void catch_stop_signals(bool launched = false);

int stop_signal();  // the last stop signal that this process received; 0 if none

// Thrown by a loop that ends because of `signal`, after it has saved its work. The exit status is 128 + signal.
struct Stopped : std::runtime_error {
  Stopped(int signal, const std::string& text) : std::runtime_error(text), signal(signal) {}
  int signal;
};

}  // namespace sartor
