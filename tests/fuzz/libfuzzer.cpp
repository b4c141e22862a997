// The entry of libFuzzer. SARTOR_FUZZ_TARGET is one of targets.h; scripts/fuzz.sh says it.
#include <cstdint>
#include <functional>

#include "fuzz/targets.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  // Using takes many times as long as reading: one input in 32, always the same.
  sartor::fuzz::SARTOR_FUZZ_TARGET(input, std::hash<std::string_view>()(input) % 32 == 0);
  return 0;
}
