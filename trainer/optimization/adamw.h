// AdamW (Loshchilov, Hutter 2019) with the parameters' groups of a fine-tuning.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "models/tensors/tensor_file.h"
#include "optimization/training_config.h"

namespace sartor {

struct Parameter {
  std::string name;
  at::Tensor tensor;
  double rate_scale = 1;  // of the learning rate, as of a lower layer
};

// Whether a parameter decays, by its name: all but biases and LayerNorm's weights, as the Trainer has it.
bool decays(const std::string& name);

// With g the gradient, t = 1, 2, ... the step, rate the learning rate of this step times the parameter's scale:
//
//   m = beta1 m + (1 - beta1) g,  v = beta2 v + (1 - beta2) g^2
//   w = w - rate decay w - rate (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + epsilon)
class AdamW {
 public:
  AdamW(const AdamWConfig& config, std::vector<Parameter> parameters);

  // One step with the gradients that the parameters carry; one without takes no part. The gradients stay.
  void step(double learning_rate);

  // Means and steps by name: "exp_avg.NAME", "exp_avg_sq.NAME", "step". Tensors are the optimizer's own.
  NamedTensors state() const;
  // Throws std::invalid_argument if a tensor is missing or of another shape.
  void load(const NamedTensors& state);

 private:
  struct Group {
    double weight_decay, rate_scale;
    std::vector<size_t> members;
  };

  const AdamWConfig config_;
  const std::vector<Parameter> parameters_;
  std::vector<at::Tensor> mean_, square_, steps_;
  std::vector<Group> groups_;
};

// Scales the gradients so that their norm over all parameters is at most `most` (0: whatever it is). Returns the norm
// before. Infinite and NaN norms leave the gradients as they are.
double clip_gradients(const std::vector<Parameter>& parameters, double most);

}  // namespace sartor
