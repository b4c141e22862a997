// The settings that a search tries.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/require.h"
#include "schema/fields.h"

namespace sartor {

enum class ValueScale { linear, log };
constexpr auto choices(ValueScale) {
  return std::to_array<Choice<ValueScale>>({{"linear", ValueScale::linear}, {"log", ValueScale::log}});
}

// A field and the values that it may take: a list, or a range.
struct ParameterConfig {
  std::string field;
  std::vector<std::string> values;
  std::optional<double> low, high;
  ValueScale scale = ValueScale::linear;
  bool integer = false;
  int64_t steps = 5;

  template <class Fields> void describe(Fields& field) {
    field.required("field", this->field, "Path of the field in the config, such as model.factors.");
    field("values", values, "Values to try, written as in YAML. Give these, or low and high.");
    field("low", low, "Smallest value of a range.");
    field("high", high, "Largest value of a range.");
    field("scale", scale, "Whether values of a range are spread evenly, or their logarithms are.");
    field("integer", integer, "Whether values of a range are rounded to integers.");
    field("steps", steps, between(1, 1000), "Number of values of a range that a grid has, low and high among them.");
  }
  void check() const;
};

// Values of the parameters, in their order, as YAML texts.
using Settings = std::vector<std::string>;

// All combinations; the last parameter changes fastest.
std::vector<Settings> grid(const std::vector<ParameterConfig>& space);

// `count` random combinations, fewer if most of those that are drawn occur twice. A function of the seed.
std::vector<Settings> random_settings(const std::vector<ParameterConfig>& space, int64_t count, uint64_t seed);

}  // namespace sartor
