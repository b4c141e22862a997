// Specification of a tokenizer model: the field "model" of tokenizer.json.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/tokenizers/tokenizer_model.h"

namespace sartor::text {

struct TokenizerSpec;

// Contents of a tokenizer folder, before writing.
struct TokenizerFolder {
  nlohmann::ordered_json tokenizer, config;               // tokenizer.json, tokenizer_config.json
  std::vector<std::pair<std::string, std::string>> more;  // name and bytes of other files
};

// Interface of all kinds of models. No other code depends on the kind.
class ModelSpec {
 public:
  virtual ~ModelSpec() = default;

  // The token for text that the vocabulary cannot express. Models that can express any text have none.
  virtual std::optional<std::string> unknown_token() const { return std::nullopt; }

  // Makes the executable model. Throws std::invalid_argument if the spec is not supported.
  virtual std::unique_ptr<const TokenizerModel> make(const TokenizerSpec& spec) const = 0;

  // The field "model" of tokenizer.json, including the vocabulary.
  virtual nlohmann::ordered_json json(nlohmann::ordered_json vocabulary) const = 0;

  // Appends everything except the vocabulary that determines token ids. The list must differ between models.
  virtual void append_hashed(nlohmann::json& hashed) const = 0;

  // Class that opens the folder in transformers.
  virtual std::string tokenizer_class() const { return "PreTrainedTokenizerFast"; }

  // Adds files and fields that are specific to the model. Throws std::invalid_argument if they cannot express the spec.
  virtual void complete(const TokenizerSpec&, TokenizerFolder&) const {}
};

}  // namespace sartor::text
