// SIGINT and SIGTERM as a wish to stop that loops look at when they can.
#pragma once

#include <stdexcept>
#include <string>

namespace sartor {

// From here on the first SIGINT or SIGTERM is only noted; the next one ends the process at once. Not so if it was
// `launched`: torchrun passes signals on that a batch system sends to all processes anyway, and ends itself those that
// take too long. To be called before there are other threads: theirs block both signals only if they start later.
void catch_stop_signals(bool launched = false);

int stop_signal();  // the signal that asked this process to stop; 0 if none did

// Thrown by a loop that has put its work in order and ends because of `signal`. The exit status is 128 + signal.
struct Stopped : std::runtime_error {
  Stopped(int signal, const std::string& text) : std::runtime_error(text), signal(signal) {}
  int signal;
};

}  // namespace sartor
