// What tells a family of encoders from BERT: the names in its folders, the fields of its config.json, and the heads
// that stand on its layers. The layers themselves compute the same. A family is an entry of the table in families.cpp.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string_view>

#include "models/bert/config.h"

namespace sartor::bert {

// The linear layers of a layer, by the names that BERT has for them.
constexpr std::array<std::string_view, 6> layer_modules = {"attention.self.query", "attention.self.key",
                                                           "attention.self.value", "attention.output.dense",
                                                           "intermediate.dense",   "output.dense"};

// The linear layer of a pooler, in a model without a head.
constexpr std::string_view pooler = "pooler.dense";

// Logits of the first token's hidden state x: output(dropout(activation(dense(x)))).
struct ClassifierHead {
  std::string_view dense, output;  // linear layers
  transformer::Activation activation = transformer::Activation::tanh;
  bool drops_before = false;  // whether x goes through dropout, too
};

// Logits of a token: decoder(norm(activation(dense(x)))) + bias, the decoder being the word embeddings if they are
// tied.
struct MaskedLmHead {
  std::string_view dense, norm, decoder, bias;
  std::optional<transformer::Activation> activation = {};  // the layers' if absent
};

// A field of config.json under another name than BERT's; empty where the family has no such field.
struct FieldName {
  std::string_view ours, theirs;
};

// Values of fields that a config.json does not give.
struct FamilyDefaults {
  int64_t vocab_size = 30522, hidden_size = 768, num_hidden_layers = 12, num_attention_heads = 12;
  int64_t intermediate_size = 3072, pad_token_id = 0;
  std::optional<int64_t> embedding_size = {};  // only of families that may have embeddings narrower than the layers
  std::optional<double> classifier_dropout = {};
};

struct Family {
  std::string_view model_type;
  std::array<std::string_view, 3> architectures;  // by Head
  std::string_view tokenizer_class;               // empty where its tokenizers are of a kind that is not read
  std::string_view prefix;                        // of the encoder's tensors in a model with a head
  std::string_view layers;                        // before a layer's number
  std::array<std::string_view, 6> modules;        // linear layers of a layer, in the order of layer_modules
  std::string_view attention_norm, norm;
  bool has_pooler = true, has_token_types = true;
  bool counts_from_padding = false;  // positions count from pad_token_id + 1
  ClassifierHead classifier;
  MaskedLmHead masked_lm;
  std::span<const FieldName> fields = {};
  FamilyDefaults defaults = {};

  // The name that config.json has for a field of BERT's; empty if none.
  std::string_view field(std::string_view ours) const;
};

// The family of a model_type, or null.
const Family* find_family(std::string_view model_type);

// The families whose folders can be used whole, with their tokenizers: "bert, distilbert or electra".
std::string known_families();

// Whether a parameter is of the embeddings or the layers, not of what stands on them.
bool in_encoder(std::string_view name, const Family& family);

// The layer of a parameter: 0 for the embeddings, 1 and on for the encoder's layers, `layers` + 1 for what stands on
// it.
int64_t depth_of(std::string_view name, const Family& family, int64_t layers);

}  // namespace sartor::bert
