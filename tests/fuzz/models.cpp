#include <cstdlib>
#include <stdexcept>

#include "fuzz/targets.h"
#include "models/bert/config.h"
#include "models/gpt/config.h"
#include "models/hf/safetensors.h"
#include "models/hf/weights.h"

namespace sartor::fuzz {

// The tensors of a valid file cover the data exactly.
void safetensors(std::string_view input, bool) {
  if (input.size() < 2) return;
  const uint64_t data_bytes = static_cast<uint8_t>(input[0]) + 256 * static_cast<uint8_t>(input[1]);
  try {
    const auto header = hf::parse_safetensors_header(input.substr(2), data_bytes, "fuzz");
    uint64_t end = 0;
    for (const auto& tensor : header.tensors) {
      auto needed = static_cast<uint64_t>(hf::bytes(tensor.dtype));
      for (const auto extent : tensor.shape) needed *= static_cast<uint64_t>(extent);
      if (tensor.begin != end || tensor.end - tensor.begin != needed) std::abort();
      end = tensor.end;
    }
    if (end != data_bytes) std::abort();
  } catch (const std::invalid_argument&) {
  }
}

// A config is unchanged by writing and reading it.
void bert_config(std::string_view input, bool) {
  try {
    hf::parse_weights_index(input, "fuzz");
  } catch (const std::invalid_argument&) {
  }
  try {
    const auto config = bert::parse_config(hf::parse_json(input, "fuzz"), "fuzz");
    const auto written = bert::to_json(config, bert::Head::masked_lm);
    if (bert::to_json(bert::parse_config(written, "again"), bert::Head::masked_lm) != written) std::abort();
  } catch (const std::invalid_argument&) {
  }
}

void gpt_config(std::string_view input, bool) {
  try {
    const auto config = gpt::parse_config(hf::parse_json(input, "fuzz"), "fuzz");
    const auto written = gpt::to_json(config);
    if (config.longest_sequence() < config.max_position_embeddings) std::abort();
    if (gpt::to_json(gpt::parse_config(written, "again")) != written) std::abort();
  } catch (const std::invalid_argument&) {
  }
}

}  // namespace sartor::fuzz
