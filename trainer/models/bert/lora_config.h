// Low-rank adaptation of BERT and related families.
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
        "Linear layers that get an adapter, by suffix of their names: query, key, value, attention.output.dense, "
        "intermediate.dense, output.dense (also selects attention.output.dense), dense (selects all three).");
  }
  void check() const { transformer::LoraConfig::check(layer_modules); }
};

}  // namespace sartor::bert
