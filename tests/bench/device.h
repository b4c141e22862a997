// Where a benchmark computes.
#pragma once

#include <cstdlib>
#include <string_view>

#include "runtime/runtime.h"

namespace sartor {

// Device and threads of a program that uses libtorch. `threads` is an argument of its command line: a number of CPU
// threads, or "cuda" for the first GPU. Throws std::invalid_argument as make_runtime does.
inline Runtime runtime_of(std::string_view threads) {
  RuntimeConfig config;
  config.device = threads == "cuda" ? Device::cuda : Device::cpu;
  if (config.device == Device::cpu) config.threads = std::atoi(threads.data());
  return make_runtime(config, Compute::libtorch);
}

// Throws std::invalid_argument if `name` is none of the choices.
template <class Enum> Enum choice_of(std::string_view name) {
  for (const auto& [text, choice] : choices(Enum{})) {
    if (text == name) return choice;
  }
  throw std::invalid_argument(std::string(name) + " is not among the choices");
}

}  // namespace sartor
