// Entry point of libFuzzer. scripts/fuzz.sh defines SARTOR_FUZZ_TARGET as one of the functions in targets.h.
#include <cstdint>
#include <functional>

#include "fuzz/targets.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  // Using an input takes many times as long as reading it, so this is done for one input in 32, chosen by its content.
  sartor::fuzz::SARTOR_FUZZ_TARGET(input, std::hash<std::string_view>()(input) % 32 == 0);
  return 0;
}
