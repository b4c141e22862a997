// Named parameters and adapters of a model in training. The model gets its linear layers and norms from here once, in
// its constructor.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "models/hf/match.h"
#include "models/hf/parameter_list.h"
#include "models/tensors/tensor_file.h"
#include "models/transformer/linear.h"

namespace sartor::transformer {

class Parameters {
 public:
  // Initializes parameters in the order of the list: weights from a normal distribution with standard deviation
  // `initializer_range`, by libtorch's default generator; biases 0, norms 1.
  Parameters(const std::vector<hf::ParameterSpec>& list, double initializer_range, at::Device device);

  // Leaf tensors of fp32 that require gradients. Change their values only in place.
  const NamedTensors& all() const { return all_; }
  bool has(std::string_view name) const { return place_.contains(name); }
  // Throw std::out_of_range with the name if the model has no such parameter.
  const at::Tensor& get(std::string_view name) const;
  Linear linear(std::string_view module) const;  // MODULE.weight, and MODULE.bias if there is one
  Norm norm(std::string_view module) const;      // the same for a norm

  // Adds an adapter to a layer that was returned by linear(module). Its weight is not changed.
  void adapt(Linear& linear, const std::string& module, const LoraConfig& config);
  // Both matrices of each adapter, named as in peft: MODULE.lora_A.weight and MODULE.lora_B.weight.
  const NamedTensors& adapters() const { return adapters_; }
  // The parameter with its adapter, if any, merged into it. Not differentiable.
  at::Tensor merged(const std::string& name) const;

  // Whether weight decay applies to a parameter or adapter matrix: to all except norms and biases, as in the Trainer of
  // transformers.
  bool decays(std::string_view name) const;

 private:
  size_t place(std::string_view name) const;

  NamedTensors all_, adapters_;
  std::vector<hf::ParameterKind> kinds_;  // kinds of all_
  std::map<std::string, size_t, std::less<>> place_;
  std::map<std::string, Adapter, std::less<>> adapter_of_;  // by name of the weight
};

// Copies tensors of a folder into the matched parameters; missing parameters keep their values. `changed`, if given,
// transforms values: (name, values) -> values.
void take_values(const Parameters& parameters, const hf::Matched& matched,
                 const std::function<at::Tensor(const std::string&, at::Tensor)>& changed = nullptr);

}  // namespace sartor::transformer
