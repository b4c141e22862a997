// Differences of a family of encoders from BERT: tensor names, fields of config.json, and heads. The layers are the
// same. Each family is an entry of the table in families.cpp.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string_view>

#include "models/bert/config.h"
#include "models/hf/config_fields.h"

namespace sartor::bert {

// Linear layers of an encoder layer, as named in BERT.
constexpr std::array<std::string_view, 6> layer_modules = {"attention.self.query", "attention.self.key",
                                                           "attention.self.value", "attention.output.dense",
                                                           "intermediate.dense",   "output.dense"};

// Linear layer of the pooler, in a model without a head.
constexpr std::string_view pooler = "pooler.dense";

// Logits from the first token's hidden state x: output(dropout(activation(dense(x)))).
struct ClassifierHead {
  std::string_view dense, output;  // linear layers
  transformer::Activation activation = transformer::Activation::tanh;
  bool drops_before = false;  // whether dropout is also applied to x
};

// Logits of a token: decoder(norm(activation(dense(x)))) + bias. A tied decoder is the word embeddings.
struct MaskedLmHead {
  std::string_view dense, norm, decoder, bias;
  std::optional<transformer::Activation> activation = {};  // that of the layers if absent
};

// Default values of fields that are absent in config.json.
struct FamilyDefaults {
  int64_t vocab_size = 30522, hidden_size = 768, num_hidden_layers = 12, num_attention_heads = 12;
  int64_t intermediate_size = 3072, pad_token_id = 0;
  std::optional<int64_t> embedding_size = {};  // only for families whose embeddings may be narrower than the layers
  std::optional<double> classifier_dropout = {};
};

struct Family {
  std::string_view model_type;
  std::array<std::string_view, 3> architectures;  // indexed by Head
  std::string_view tokenizer_class;               // empty if its tokenizers are not supported
  std::string_view prefix;                        // prefix of the encoder's tensors in a model with a head
  std::string_view layers;                        // prefix of a layer index
  std::array<std::string_view, 6> modules;        // names of layer_modules in this family
  std::string_view attention_norm, norm;
  bool has_pooler = true, has_token_types = true;
  bool counts_from_padding = false;  // position ids start at pad_token_id + 1
  ClassifierHead classifier;
  MaskedLmHead masked_lm;
  std::span<const hf::FieldName> fields = {};
  FamilyDefaults defaults = {};

  // Name in config.json of a field of BERT; empty if there is none.
  std::string_view field(std::string_view ours) const { return hf::field_name(fields, ours); }
};

// The family of a model_type, or nullptr.
const Family* find_family(std::string_view model_type);

// Families whose models and tokenizers are supported: "bert, distilbert or electra".
std::string known_families();

// Whether a parameter belongs to the embeddings or layers, as opposed to the head or pooler.
bool in_encoder(std::string_view name, const Family& family);

// Depth of a parameter: 0 for embeddings, 1 to `layers` for encoder layers, `layers` + 1 for the head.
int64_t depth_of(std::string_view name, const Family& family, int64_t layers);

}  // namespace sartor::bert
