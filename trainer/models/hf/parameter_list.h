// The parameters that a model has: their names in its folder, their shapes, and what they are for. Known before the
// model is made, so that a folder is checked against them first.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sartor::hf {

// What a parameter is for: a new one begins by it, and weight decay is for weights alone.
enum class ParameterKind {
  weight,  // of a linear layer or an embedding
  bias,    // is added
  norm     // is what a norm multiplies by
};

struct ParameterSpec {
  std::string name;
  std::vector<int64_t> shape;
  ParameterKind kind = ParameterKind::weight;
};

// Collects the parameters of a model in their order, module by module.
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
