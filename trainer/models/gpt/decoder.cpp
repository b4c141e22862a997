#include "models/gpt/decoder.h"

#include "base/require.h"
#include "models/gpt/cpu_decoder.h"

namespace sartor::gpt {

std::unique_ptr<Decoder> open_decoder(const std::filesystem::path& folder, transformer::Precision precision, int gpu,
                                      int threads) {
  require(!std::filesystem::exists(folder / "adapter_config.json"),
          "{}: has adapters only (adapter_config.json), expected a model with the adapters merged into its weights",
          folder.string());
  require(gpu < 0, "decoding on a GPU is not supported yet");
  return std::make_unique<CpuDecoder>(folder, precision, threads);
}

}  // namespace sartor::gpt
