// AdamW (Loshchilov, Hutter 2019) with weight decay and learning rate per parameter.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "models/tensors/tensor_file.h"
#include "optimization/training_config.h"

namespace sartor {

// A tensor that the optimizer changes, and how.
struct TrainedParameter {
  std::string name;
  at::Tensor tensor;
  double rate_scale = 1;  // factor on the learning rate (layer-wise learning rate decay)
  bool decays = true;     // whether weight decay applies: not to biases and norms
};

// With gradient g, step t = 1, 2, ... and rate = learning rate times the parameter's rate_scale:
//
//   m = beta1 m + (1 - beta1) g,  v = beta2 v + (1 - beta2) g^2
//   w = w - rate decay w - rate (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + epsilon)
class AdamW {
 public:
  AdamW(const AdamWConfig& config, std::vector<TrainedParameter> parameters);

  const std::vector<TrainedParameter>& parameters() const { return parameters_; }

  // Updates all parameters that have a gradient. Does not clear the gradients.
  void step(double learning_rate);

  // The same for gradients that are to be divided by `divisor`, unless `skip` is 1 instead of 0. Both are scalars of
  // fp32 on the device of the parameters, which are fp32, too; divisor may be undefined. Reads neither.
  void step(double learning_rate, const at::Tensor& divisor, const at::Tensor& skip);

  // State by name: "exp_avg.NAME", "exp_avg_sq.NAME", "step". The tensors share memory with the optimizer.
  NamedTensors state() const;
  // Throws std::invalid_argument if a tensor is missing or has another shape.
  void load(const NamedTensors& state);

 private:
  struct Group {
    double weight_decay, rate_scale;
    std::vector<size_t> members;
  };

  std::vector<at::Tensor> steps_to_count() const;
  void update(double learning_rate, const at::Tensor& divisor, const at::Tensor& skip);

  const AdamWConfig config_;
  const std::vector<TrainedParameter> parameters_;
  std::vector<at::Tensor> mean_, square_, steps_;
  std::vector<Group> groups_;
};

// Norm of all gradients together, a scalar tensor; undefined if there are none.
at::Tensor gradient_norm(const std::vector<TrainedParameter>& parameters);

// Scales the gradients so that their norm over all parameters is at most `most`; 0 disables clipping. Returns the norm
// before scaling. Does not scale if the norm is infinite or NaN.
double clip_gradients(const std::vector<TrainedParameter>& parameters, double most);

}  // namespace sartor
