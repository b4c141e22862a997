#include "models/hf/parameter_list.h"

#include <utility>

namespace sartor::hf {

void ParameterList::weight(std::string name, std::vector<int64_t> shape) {
  all_.push_back({std::move(name), std::move(shape), ParameterKind::weight});
}

void ParameterList::bias(std::string name, int64_t size) {
  all_.push_back({std::move(name), {size}, ParameterKind::bias});
}

void ParameterList::linear(std::string_view module, int64_t outputs, int64_t inputs, bool with_bias) {
  weight(std::string(module) + ".weight", {outputs, inputs});
  if (with_bias) bias(std::string(module) + ".bias", outputs);
}

void ParameterList::norm(std::string_view module, int64_t size, bool with_bias) {
  all_.push_back({std::string(module) + ".weight", {size}, ParameterKind::norm});
  if (with_bias) bias(std::string(module) + ".bias", size);
}

}  // namespace sartor::hf
