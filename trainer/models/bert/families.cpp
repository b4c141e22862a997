#include "models/bert/families.h"

#include <algorithm>
#include <string>
#include <vector>

#include "models/hf/json_fields.h"

namespace sartor::bert {
namespace {

constexpr Family bert = {
    .model_type = "bert",
    .architectures = {"BertModel", "BertForSequenceClassification", "BertForMaskedLM"},
    .tokenizer_class = "BertTokenizer",
    .prefix = "bert.",
    .layers = "encoder.layer.",
    .modules = layer_modules,
    .attention_norm = "attention.output.LayerNorm",
    .norm = "output.LayerNorm",
    .classifier = {.dense = "bert.pooler.dense", .output = "classifier"},
    .masked_lm = {.dense = "cls.predictions.transform.dense",
                  .norm = "cls.predictions.transform.LayerNorm",
                  .decoder = "cls.predictions.decoder",
                  .bias = "cls.predictions.bias"},
};

constexpr Family roberta_like(std::string_view model_type, std::array<std::string_view, 3> architectures) {
  Family family = bert;
  family.model_type = model_type;
  family.architectures = architectures;
  family.tokenizer_class = "";
  family.prefix = "roberta.";
  family.counts_from_padding = true;
  family.classifier = {.dense = "classifier.dense", .output = "classifier.out_proj", .drops_before = true};
  family.masked_lm = {.dense = "lm_head.dense",
                      .norm = "lm_head.layer_norm",
                      .decoder = "lm_head.decoder",
                      .bias = "lm_head.bias",
                      .activation = transformer::Activation::gelu};
  family.defaults = {.vocab_size = 50265, .pad_token_id = 1};
  return family;
}

constexpr hf::FieldName distilbert_fields[] = {{"hidden_size", "dim"},
                                               {"num_hidden_layers", "n_layers"},
                                               {"num_attention_heads", "n_heads"},
                                               {"intermediate_size", "hidden_dim"},
                                               {"hidden_act", "activation"},
                                               {"hidden_dropout_prob", "dropout"},
                                               {"attention_probs_dropout_prob", "attention_dropout"},
                                               {"classifier_dropout", "seq_classif_dropout"},
                                               {"type_vocab_size", ""},
                                               {"layer_norm_eps", ""},
                                               {"position_embedding_type", ""}};

constexpr Family distilbert = {
    .model_type = "distilbert",
    .architectures = {"DistilBertModel", "DistilBertForSequenceClassification", "DistilBertForMaskedLM"},
    .tokenizer_class = "DistilBertTokenizer",
    .prefix = "distilbert.",
    .layers = "transformer.layer.",
    .modules = {"attention.q_lin", "attention.k_lin", "attention.v_lin", "attention.out_lin", "ffn.lin1", "ffn.lin2"},
    .attention_norm = "sa_layer_norm",
    .norm = "output_layer_norm",
    .has_pooler = false,
    .has_token_types = false,
    .classifier = {.dense = "pre_classifier", .output = "classifier", .activation = transformer::Activation::relu},
    .masked_lm = {.dense = "vocab_transform",
                  .norm = "vocab_layer_norm",
                  .decoder = "vocab_projector",
                  .bias = "vocab_projector.bias"},
    .fields = distilbert_fields,
    .defaults = {.num_hidden_layers = 6, .classifier_dropout = 0.2},
};

constexpr Family electra = {
    .model_type = "electra",
    .architectures = {"ElectraModel", "ElectraForSequenceClassification", "ElectraForMaskedLM"},
    .tokenizer_class = "ElectraTokenizer",
    .prefix = "electra.",
    .layers = "encoder.layer.",
    .modules = layer_modules,
    .attention_norm = "attention.output.LayerNorm",
    .norm = "output.LayerNorm",
    .has_pooler = false,
    .classifier = {.dense = "classifier.dense",
                   .output = "classifier.out_proj",
                   .activation = transformer::Activation::gelu,
                   .drops_before = true},
    .masked_lm = {.dense = "generator_predictions.dense",
                  .norm = "generator_predictions.LayerNorm",
                  .decoder = "generator_lm_head",
                  .bias = "generator_lm_head.bias",
                  .activation = transformer::Activation::gelu},
    .defaults = {.hidden_size = 256, .num_attention_heads = 4, .intermediate_size = 1024, .embedding_size = 128},
};

constexpr Family families[] = {
    bert,
    distilbert,
    electra,
    roberta_like("roberta", {"RobertaModel", "RobertaForSequenceClassification", "RobertaForMaskedLM"}),
    roberta_like("xlm-roberta", {"XLMRobertaModel", "XLMRobertaForSequenceClassification", "XLMRobertaForMaskedLM"}),
    roberta_like("camembert", {"CamembertModel", "CamembertForSequenceClassification", "CamembertForMaskedLM"}),
};

std::string_view without_prefix(std::string_view name, const Family& family) {
  if (name.starts_with(family.prefix)) name.remove_prefix(family.prefix.size());
  return name;
}

bool in_embeddings(std::string_view name, const Family& family) {
  const auto inner = without_prefix(name, family);
  return inner.starts_with("embeddings.") || inner.starts_with("embeddings_project.");
}

}  // namespace

const Family* find_family(std::string_view model_type) {
  const auto* found = std::ranges::find(families, model_type, &Family::model_type);
  return found == std::end(families) ? nullptr : found;
}

std::string known_families() {
  std::vector<std::string_view> names;
  for (const auto& family : families) {
    if (!family.tokenizer_class.empty()) names.push_back(family.model_type);
  }
  return hf::either(names);
}

bool in_encoder(std::string_view name, const Family& family) {
  return in_embeddings(name, family) || without_prefix(name, family).starts_with(family.layers);
}

int64_t depth_of(std::string_view name, const Family& family, int64_t layers) {
  if (in_embeddings(name, family)) return 0;
  const auto inner = without_prefix(name, family);
  if (!inner.starts_with(family.layers)) return layers + 1;
  return std::stoll(std::string(inner.substr(family.layers.size()))) + 1;
}

}  // namespace sartor::bert
