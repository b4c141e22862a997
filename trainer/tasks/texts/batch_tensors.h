// Tensors of a batch: on the host, and on their way to the device.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/from_blob.h>

#include <initializer_list>
#include <iterator>
#include <vector>

#include "models/tensors/transfer.h"
#include "models/transformer/batch.h"

namespace sartor {

// A copy of the values, (size).
template <class T> at::Tensor tensor_of(std::vector<T>& values) {
  return at::from_blob(values.data(), {std::ssize(values)}, at::CppTypeToScalarType<T>::value).clone();
}

// Sends the tensors of an input on the host and others to the device, by one copy.
inline Transfer::Arrival send(const Transfer& transfer, transformer::Packed& input,
                              std::initializer_list<at::Tensor*> others) {
  auto tensors = tensors_of(input);
  tensors.insert(tensors.end(), others);
  return transfer.send(tensors);
}

}  // namespace sartor
