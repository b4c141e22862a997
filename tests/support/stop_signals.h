// Sends a stop signal to this process.
#pragma once

#include <unistd.h>

#include <csignal>
#include <thread>

#include "runtime/signals.h"

namespace sartor {

// Returns after the handler has recorded `signal`.
inline void send_stop_signal(int signal) {
  kill(getpid(), signal);
  while (stop_signal() != signal) std::this_thread::yield();
}

}  // namespace sartor
