// A process that asks itself to stop.
#pragma once

#include <unistd.h>

#include <csignal>
#include <thread>

#include "runtime/signals.h"

namespace sartor {

// Returns when `signal` is noted.
inline void send_stop_signal(int signal) {
  kill(getpid(), signal);
  while (stop_signal() != signal) std::this_thread::yield();
}

}  // namespace sartor
