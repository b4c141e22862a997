// A tokenizer's model as tokenizer.json describes it: the field "model".
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

// The files of a tokenizer's folder before they are written.
struct TokenizerFolder {
  nlohmann::ordered_json tokenizer, config;               // tokenizer.json, tokenizer_config.json
  std::vector<std::pair<std::string, std::string>> more;  // other files: names and bytes
};

// The kinds of models differ in what is here, and nothing else knows which one a tokenizer has.
class ModelSpec {
 public:
  virtual ~ModelSpec() = default;

  // The token that stands for text that the vocabulary has no tokens for. Models that can say any text have none.
  virtual std::optional<std::string> unknown_token() const { return std::nullopt; }

  // The model ready to run. Throws std::invalid_argument for a spec that it cannot run.
  virtual std::unique_ptr<const TokenizerModel> make(const TokenizerSpec& spec) const = 0;

  // The object in tokenizer.json, with the vocabulary in it.
  virtual nlohmann::ordered_json json(nlohmann::ordered_json vocabulary) const = 0;

  // Adds what decides the ids of a text, beside the vocabulary, to a list: no two models may add the same.
  virtual void append_hashed(nlohmann::json& hashed) const = 0;

  // The class that opens the folder in transformers.
  virtual std::string tokenizer_class() const { return "PreTrainedTokenizerFast"; }

  // Adds what folders with this model have beside the fields that all tokenizers have. Throws std::invalid_argument
  // where its files cannot say what the spec says.
  virtual void complete(const TokenizerSpec&, TokenizerFolder&) const {}
};

}  // namespace sartor::text
