// The entry of libFuzzer. SARTOR_FUZZ_TARGET is one of targets.h; scripts/fuzz.sh says it.
#include <cstdint>

#include "fuzz/targets.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  sartor::fuzz::SARTOR_FUZZ_TARGET({reinterpret_cast<const char*>(data), size});
  return 0;
}
