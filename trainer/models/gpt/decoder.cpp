#include "models/gpt/decoder.h"

#include "base/require.h"
#include "models/gpt/cpu_decoder.h"
#include "models/gpt/device_decoder.h"
#include "models/gpt/folder.h"
#include "models/tensors/device.h"
#include "models/tensors/gpu_numerics.h"

namespace sartor::gpt {

std::unique_ptr<Decoder> open_decoder(const std::filesystem::path& folder, transformer::Precision precision, int gpu,
                                      int threads) {
  require(!std::filesystem::exists(folder / "adapter_config.json"),
          "{}: has adapters only (adapter_config.json), expected a model with the adapters merged into its weights",
          folder.string());
  if (gpu >= 0) {
    require(precision != transformer::Precision::int8,
            "precision is int8, which is only for the CPU; on a GPU choose bf16 or fp32");
    allow_tf32(precision == transformer::Precision::tf32);
    const auto type = precision == transformer::Precision::bf16 ? at::kBFloat16 : at::kFloat;
    const auto device = device_of(gpu);
    return std::make_unique<DeviceDecoder>(load_gpt(folder, device), type, cuda::Context::gpu(gpu), Transfer(device));
  }
  return std::make_unique<CpuDecoder>(folder, on_cpu(precision), threads);
}

}  // namespace sartor::gpt
