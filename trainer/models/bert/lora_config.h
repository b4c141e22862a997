// Low-rank adaptation of BERT and the families like it.
#pragma once

#include <utility>

#include "models/bert/families.h"
#include "models/transformer/lora_config.h"

namespace sartor::bert {

struct LoraConfig : transformer::LoraConfig {
  LoraConfig(transformer::LoraConfig chosen = {.modules = {"query", "value"}})
      : transformer::LoraConfig(std::move(chosen)) {}

  template <class Fields> void describe(Fields& field) {
    transformer::LoraConfig::describe(
        field,
        "Linear layers that get an adapter, by the ends of their names: query, key, value, attention.output.dense, "
        "intermediate.dense, output.dense (the one before too), dense (all three).");
  }
  void check() const { transformer::LoraConfig::check(layer_modules); }
};

}  // namespace sartor::bert
