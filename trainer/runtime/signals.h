// SIGINT, SIGTERM and SIGHUP as a wish to stop that loops look at when they can.
#pragma once

#include <array>
#include <csignal>
#include <stdexcept>
#include <string>

namespace sartor {

inline constexpr std::array stop_signals = {SIGINT, SIGTERM, SIGHUP};

const char* signal_name(int signal);  // of a stop signal: "SIGINT"

// From here on the first of them is only noted; the next one ends the process at once. Not so if it was
// `launched`: torchrun passes signals on that a batch system sends to all processes anyway, and ends itself those that
// take too long. A SIGHUP that is ignored, as under nohup, stays so. To be called before there are other threads:
// theirs block the signals only if they start later.
void catch_stop_signals(bool launched = false);

int stop_signal();  // the signal that asked this process to stop; 0 if none did

// Thrown by a loop that has put its work in order and ends because of `signal`. The exit status is 128 + signal.
struct Stopped : std::runtime_error {
  Stopped(int signal, const std::string& text) : std::runtime_error(text), signal(signal) {}
  int signal;
};

}  // namespace sartor
