// Low-rank adaptation of decoders.
#pragma once

#include <utility>

#include "models/gpt/config.h"
#include "models/transformer/lora_config.h"

namespace sartor::gpt {

struct LoraConfig : transformer::LoraConfig {
  // Without modules, those that peft adapts by default in the model's family.
  LoraConfig(transformer::LoraConfig chosen = {}) : transformer::LoraConfig(std::move(chosen)) {}

  template <class Fields> void describe(Fields& field) {
    transformer::LoraConfig::describe(
        field,
        "Linear layers that get an adapter, by suffix of their names. GPT-2: c_attn, attn.c_proj, c_fc, mlp.c_proj, "
        "c_proj (selects both); others: q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj. "
        "Default: c_attn, or q_proj and v_proj.");
  }
  void check() const;  // throws std::invalid_argument if an entry matches a layer of no family

  // The config with the modules of this model. Throws std::invalid_argument if an entry matches none of its layers.
  transformer::LoraConfig for_model(const GptConfig& config) const;
};

}  // namespace sartor::gpt
