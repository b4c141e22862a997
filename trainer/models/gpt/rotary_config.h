// Rotary position embeddings (RoFormer, Su et al. 2021) in config.json: the base and the scaling for long texts.
#pragma once

#include <cstdint>
#include <optional>

#include "models/hf/json.h"
#include "models/hf/json_fields.h"

namespace sartor::gpt {

enum class RotaryType {
  standard,  // "default": no scaling
  linear,    // positions are divided by the factor
  dynamic,   // NTK: the base grows with the length of a sequence that is longer than max_position_embeddings
  yarn,      // Peng et al. 2023
  llama3     // Llama 3.1: low frequencies are divided by the factor
};

struct RotaryConfig {
  RotaryType type = RotaryType::standard;
  double theta = 10'000;  // base of the frequencies
  double factor = 1;      // of all types but standard
  // Number of positions before scaling; yarn and llama3.
  int64_t original_max_position_embeddings = 0;
  // yarn
  std::optional<double> attention_factor, mscale, mscale_all_dim;
  double beta_fast = 32, beta_slow = 1;
  bool truncate = true;
  // llama3
  double low_freq_factor = 1, high_freq_factor = 4;

  bool operator==(const RotaryConfig&) const = default;

  // The longest sequence that the scaling is meant for.
  int64_t longest_sequence(int64_t max_position_embeddings) const;
};

// Reads rope_theta, and rope_scaling (transformers 4) or rope_parameters (transformers 5). Throws std::invalid_argument
// if they contradict each other, or if a type or a field of them is not supported.
RotaryConfig parse_rotary(hf::JsonFields& fields, int64_t max_position_embeddings);

// Writes all three, so that both versions read the same.
void write_rotary(const RotaryConfig& rotary, hf::Json& json);

}  // namespace sartor::gpt
