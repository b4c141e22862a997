#include "generation/decoding_config.h"

#include <string_view>

#include "base/require.h"
#include "base/utf8.h"

namespace sartor::inference {
namespace {

void check_texts(std::string_view field, const std::vector<std::string>& texts) {
  for (size_t i = 0; i < texts.size(); i++) {
    require(!texts[i].empty(), "{}[{}] is empty", field, i);
    require(valid_utf8(texts[i]) == texts[i].size(), "{}[{}] is not valid UTF-8", field, i);
  }
}

void check_sampling(const DecodingConfig& config) {
  const auto needs_sampling = [](std::string_view field, double value, double neutral) {
    require(value == neutral, "{} is {}, which requires do_sample: true", field, value);
  };
  needs_sampling("temperature", config.temperature, 1);
  needs_sampling("top_k", static_cast<double>(config.top_k), 0);
  needs_sampling("top_p", config.top_p, 1);
  needs_sampling("min_p", config.min_p, 0);
}

void check_beams(const DecodingConfig& config) {
  if (config.num_beams > 1) {
    require(!config.do_sample, "num_beams is {}, which requires do_sample: false", config.num_beams);
    require(config.num_return_sequences <= config.num_beams, "num_return_sequences is {}, more than num_beams {}",
            config.num_return_sequences, config.num_beams);
    return;
  }
  require(config.num_return_sequences == 1 || config.do_sample,
          "num_return_sequences is {}, but without do_sample: true or num_beams above 1 all texts would be equal",
          config.num_return_sequences);
  require(config.length_penalty == 1, "length_penalty is {}, which requires num_beams above 1", config.length_penalty);
  require(config.early_stopping == EarlyStopping::no, "early_stopping is {}, which requires num_beams above 1",
          name_of(config.early_stopping));
}

}  // namespace

void DecodingConfig::check() const {
  require(min_new_tokens <= max_new_tokens, "min_new_tokens is {}, more than max_new_tokens {}", min_new_tokens,
          max_new_tokens);
  if (!do_sample) check_sampling(*this);
  check_beams(*this);
  check_texts("banned_phrases", banned_phrases);
  check_texts("stop_strings", stop_strings);
}

}  // namespace sartor::inference
