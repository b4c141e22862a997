// Names, shapes and kinds of a model's parameters. They are known before the model is created, so that a folder can be
// validated first.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sartor::hf {

// Kind of a parameter. Determines its initial values; weight decay applies to weights only.
enum class ParameterKind {
  weight,  // weight of a linear layer or an embedding
  bias,    // additive bias
  norm     // scale of a normalization layer
};

struct ParameterSpec {
  std::string name;
  std::vector<int64_t> shape;
  ParameterKind kind = ParameterKind::weight;
};

// Collects the parameters of a model in order, module by module.
class ParameterList {
 public:
  void weight(std::string name, std::vector<int64_t> shape);
  void bias(std::string name, int64_t size);
  // MODULE.weight (outputs, inputs), MODULE.bias (outputs)
  void linear(std::string_view module, int64_t outputs, int64_t inputs, bool with_bias = true);
  // MODULE.weight and MODULE.bias (size)
  void norm(std::string_view module, int64_t size, bool with_bias = true);

  const std::vector<ParameterSpec>& all() const { return all_; }

 private:
  std::vector<ParameterSpec> all_;
};

}  // namespace sartor::hf
