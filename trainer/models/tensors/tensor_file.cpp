#include "models/tensors/tensor_file.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include <cstring>

#include "base/require.h"

namespace sartor {
namespace {

at::ScalarType type_of(const hf::TensorView& view) {
  switch (view.dtype) {
    case hf::Dtype::f16:
      return at::kHalf;
    case hf::Dtype::bf16:
      return at::kBFloat16;
    case hf::Dtype::f64:
      return at::kDouble;
    default:
      require(view.dtype == hf::Dtype::f32, "tensor {}: dtype {}, expected F32, F16, BF16 or F64", view.name,
              name(view.dtype));
      return at::kFloat;
  }
}

template <class T> void convert_row(const std::byte* from, int64_t columns, float* to) {
  for (int64_t c = 0; c < columns; c++) {
    T value;
    std::memcpy(&value, from + c * sizeof(T), sizeof(T));  // may not be aligned
    to[c] = static_cast<float>(value);
  }
}

}  // namespace

at::Tensor to_float(const hf::TensorView& view) {
  auto tensor = at::empty(view.shape, at::TensorOptions().dtype(type_of(view)));
  if (!view.data.empty()) std::memcpy(tensor.data_ptr(), view.data.data(), view.data.size());
  return tensor.to(at::kFloat);
}

at::Tensor mapped_tensor(const hf::TensorView& view) {
  const bool aligned = reinterpret_cast<uintptr_t>(view.data.data()) % sizeof(float) == 0;
  if (view.dtype != hf::Dtype::f32 || !aligned) return {};
  auto* data = const_cast<std::byte*>(view.data.data());  // from_blob takes no const pointer
  return at::from_blob(data, view.shape, at::kFloat);
}

void rows_to_float(const hf::TensorView& view, std::span<const int32_t> rows, float* values) {
  const int64_t columns = view.shape[1], bytes = columns * hf::bytes(view.dtype);
  const auto type = type_of(view);
  for (const int32_t row : rows) {
    const std::byte* from = view.data.data() + row * bytes;
    switch (type) {
      case at::kHalf:
        convert_row<at::Half>(from, columns, values);
        break;
      case at::kBFloat16:
        convert_row<at::BFloat16>(from, columns, values);
        break;
      case at::kDouble:
        convert_row<double>(from, columns, values);
        break;
      default:
        std::memcpy(values, from, bytes);
    }
    values += columns;
  }
}

void write_tensors(const std::filesystem::path& path, const NamedTensors& tensors) {
  std::vector<at::Tensor> kept;  // keeps the copies on the host alive
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
    tensors.push_back({view.name, to_float(view)});
  }
  return tensors;
}

}  // namespace sartor
