// The parameters of a model that is trained: leaves by name, in the order of its list, and the adapters beside them. A
// model takes its linear layers and norms out of it once, when it is made.
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
  // Draws new values in the order of the list: weights are normal with the given standard deviation, by libtorch's
  // default generator, biases 0, norms 1.
  Parameters(const std::vector<hf::ParameterSpec>& list, double initializer_range, at::Device device);

  // Leaves of fp32 that require gradients; replace their values in place.
  const NamedTensors& all() const { return all_; }
  bool has(std::string_view name) const { return place_.contains(name); }
  // These throw std::out_of_range, naming what the model has not.
  const at::Tensor& get(std::string_view name) const;
  Linear linear(std::string_view module) const;  // MODULE.weight, and MODULE.bias if there is one
  Norm norm(std::string_view module) const;      // the same

  // Gives the layer, which was taken as `module`, an adapter that is trained beside the weight; that stays what it is.
  void adapt(Linear& linear, const std::string& module, const LoraConfig& config);
  // Both matrices of each adapter, MODULE.lora_A.weight and MODULE.lora_B.weight, as peft names them.
  const NamedTensors& adapters() const { return adapters_; }
  // The parameter with what its adapter adds to it: what a model without adapters would need. No gradients pass.
  at::Tensor merged(const std::string& name) const;

  // Whether weight decay is for this parameter, or this matrix of an adapter: for all but norms and biases, as the
  // Trainer of transformers has it.
  bool decays(std::string_view name) const;

 private:
  size_t place(std::string_view name) const;

  NamedTensors all_, adapters_;
  std::vector<hf::ParameterKind> kinds_;  // of all_
  std::map<std::string, size_t, std::less<>> place_;
  std::map<std::string, Adapter, std::less<>> adapter_of_;  // by the weight's name
};

// Copies the values of the folder's tensors into the parameters that they were matched with; those that are missing
// stay as they are. `changed` may make other values of a tensor's, (name, values) -> values.
void take_values(const Parameters& parameters, const hf::Matched& matched,
                 const std::function<at::Tensor(const std::string&, at::Tensor)>& changed = nullptr);

}  // namespace sartor::transformer
