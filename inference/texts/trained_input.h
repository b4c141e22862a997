// Settings that must agree with those of a model's training.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/require.h"

namespace sartor::inference {

// Model and whether its input may differ from that of its training.
struct TrainedInput {
  const std::string& model;
  bool other_input;

  // The value of a setting: that of training if known. A config must agree with it unless other_input is true.
  template <class Value> std::optional<Value> agreed(std::string_view name, const std::optional<Value>& given,
                                                     const std::optional<Value>& trained) const {
    require(!given || !trained || other_input || given == trained,
            "{} is {}, but {} was trained with {}: remove it from the config, or set other_input: true", name,
            given.value_or(Value()), model, trained.value_or(Value()));
    return given ? given : trained;
  }
};

}  // namespace sartor::inference
