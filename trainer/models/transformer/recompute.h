// Gradient checkpointing (Chen et al. 2016): activations of a part of a model are not stored but recomputed in the
// backward pass.
#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <functional>
#include <vector>

namespace sartor::transformer {

// Returns part(x) and stores only x for the backward pass, which runs `part` again with the same random numbers from
// `generators`, and then restores these. By default they are libtorch's of the CPU and of x's device. `parameters`
// lists all other tensors that may receive gradients. Everything that `part` refers to must exist, unchanged, until
// then.
at::Tensor recomputed(std::function<at::Tensor(const at::Tensor&)> part, const at::Tensor& x, at::TensorList parameters,
                      std::vector<at::Generator> generators = {});

}  // namespace sartor::transformer
