// Tensors of numbers of a batch.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/from_blob.h>

#include <iterator>
#include <vector>

namespace sartor {

// A copy of the values on the device, (size).
template <class T> at::Tensor tensor_of(std::vector<T>& values, at::Device device) {
  return at::from_blob(values.data(), {std::ssize(values)}, at::CppTypeToScalarType<T>::value).clone().to(device);
}

}  // namespace sartor
