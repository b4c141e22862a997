#include "models/tensors/tensor_file.h"

#include <ATen/ops/empty.h>

#include <cstring>

#include "base/require.h"
#include "models/hf/safetensors.h"

namespace sartor {

void write_tensors(const std::filesystem::path& path, const NamedTensors& tensors) {
  std::vector<at::Tensor> kept;  // on the host, while they are written
  std::vector<hf::TensorView> views;
  for (const auto& [name, tensor] : tensors) {
    kept.push_back(tensor.detach().to(at::kCPU, at::kFloat).contiguous());
    const std::span floats(kept.back().const_data_ptr<float>(), kept.back().numel());
    views.push_back({name, hf::Dtype::f32, tensor.sizes().vec(), std::as_bytes(floats)});
  }
  hf::write_safetensors(path, views);
}

NamedTensors read_tensors(const std::filesystem::path& path) {
  const hf::SafetensorsFile file(path);
  NamedTensors tensors;
  for (const auto& view : file.tensors()) {
    require(view.dtype == hf::Dtype::f32, "{}: {} is {}, expected F32", path.string(), view.name, name(view.dtype));
    auto tensor = at::empty(view.shape, at::kFloat);
    std::memcpy(tensor.mutable_data_ptr(), view.data.data(), view.data.size());
    tensors.push_back({view.name, std::move(tensor)});
  }
  return tensors;
}

}  // namespace sartor
