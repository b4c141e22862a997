#include "models/bert/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/require.h"
#include "models/bert/families.h"
#include "models/hf/config_fields.h"
#include "models/hf/json_fields.h"

namespace sartor::bert {
namespace {

using hf::Json;
using hf::JsonFields;
using hf::kind_of;

constexpr int64_t most = hf::largest_size;

constexpr auto problems = std::to_array<std::pair<std::string_view, transformer::Problem>>({
    {"single_label_classification", transformer::Problem::single_label},
    {"multi_label_classification", transformer::Problem::multi_label},
    {"regression", transformer::Problem::regression},
});

const std::vector<hf::FixedField>& fixed_fields() {
  static const std::vector<hf::FixedField> fields = {
      {"position_embedding_type", "absolute", "other position embeddings are not supported"},
      {"is_decoder", false, "only bidirectional attention is supported"},
      {"add_cross_attention", false, "decoders are not supported"},
      {"is_encoder_decoder", false, "decoders are not supported"},
      {"tie_encoder_decoder", false, "decoders are not supported"},
      {"pruned_heads", Json::object(), "pruned heads are not supported"},
      {"quantization_config", nullptr, "quantized weights are not supported"},
      {"embedding_size", nullptr, "factorized embeddings are not supported"},
      {"per_layer_config", nullptr, "layers of different kinds are not supported"},
  };
  return fields;
}

// Fields that do not affect the computation here, besides those of any model.
constexpr std::string_view neutral[] = {
    "cls_token_id",         "directionality",       "pooler_fc_size",        "pooler_num_attention_heads",
    "pooler_num_fc_layers", "pooler_size_per_head", "pooler_type",           "qa_dropout",
    "sinusoidal_pos_embds", "model_name",           "sentence_transformers", "xla_device"};

std::vector<std::string> default_labels(int64_t count) {
  std::vector<std::string> labels;
  for (int64_t i = 0; i < count; i++) labels.push_back(fmt::format("LABEL_{}", i));
  return labels;
}

// Reads id2label, such as {"0": "negative", "1": "positive"}, and checks it against label2id and num_labels if present.
std::vector<std::string> read_labels(JsonFields& fields) {
  const auto& source = fields.source();
  const Json* id2label = fields.take("id2label", &Json::is_object, "an object");
  const Json* label2id = fields.take("label2id");
  const int64_t count = fields.integer("num_labels", 1, most).value_or(-1);
  std::vector<std::string> labels;
  if (id2label) {
    const auto size = static_cast<int64_t>(id2label->size());
    labels.resize(size);
    std::vector<bool> has(size);
    for (const auto& [key, label] : id2label->items()) {
      int64_t id = 0;
      for (const char digit : key) id = '0' <= digit && digit <= '9' && id < most ? 10 * id + (digit - '0') : most;
      require(!key.empty() && id < size && !has[id], "{}: id2label: \"{}\" is not a unique id from 0 to {}", source,
              key, size - 1);
      require(label.is_string() || label.is_number_integer(), "{}: id2label: {}: found {}, expected a string", source,
              key, kind_of(label));
      labels[id] = label.is_string() ? label.get<std::string>() : label.dump();
      has[id] = true;
    }
    require(size > 0, "{}: id2label is empty", source);
    require(count < 0 || count == size, "{}: num_labels is {}, but id2label has {} labels", source, count, size);
  } else {
    labels = default_labels(count < 0 ? 2 : count);
  }
  if (label2id && id2label) {
    require(label2id->is_object(), "{}: label2id: found {}, expected an object", source, kind_of(*label2id));
    for (const auto& [label, id] : label2id->items()) {
      require(id.is_number_integer() || id.is_string(), "{}: label2id: {}: found {}, expected an id", source, label,
              kind_of(id));
      const auto number = id.is_string() ? id.get<std::string>() : id.dump();
      const auto* named = id2label->contains(number) ? &(*id2label)[number] : nullptr;
      require(named && (named->is_string() ? named->get<std::string>() : named->dump()) == label,
              "{}: label2id maps {} to {}, but id2label does not", source, label, number);
    }
  }
  return labels;
}

const Family& family_of(JsonFields& fields) {
  const auto type = fields.required_text("model_type");
  const auto* family = find_family(type);
  require(family != nullptr, "{}: model_type is {}, expected {}", fields.source(), type, known_families());
  return *family;
}

void read_sizes(JsonFields& fields, const Family& family, BertConfig& config) {
  const auto& defaults = family.defaults;
  const auto size = [&](std::string_view name, int64_t otherwise, int64_t highest) {
    return fields.integer(family.field(name), 1, highest).value_or(otherwise);
  };
  config.vocab_size = size("vocab_size", defaults.vocab_size, most);
  config.hidden_size = size("hidden_size", defaults.hidden_size, 1 << 16);
  if (defaults.embedding_size) config.embedding_size = size("embedding_size", *defaults.embedding_size, 1 << 16);
  config.num_hidden_layers = size("num_hidden_layers", defaults.num_hidden_layers, 1024);
  config.num_attention_heads = size("num_attention_heads", defaults.num_attention_heads, 1024);
  config.intermediate_size = size("intermediate_size", defaults.intermediate_size, 1 << 20);
  config.max_position_embeddings = size("max_position_embeddings", 512, most);
  config.type_vocab_size = size("type_vocab_size", 2, 1 << 16);
  require(config.hidden_size % config.num_attention_heads == 0, "{}: {} {} is not a multiple of {} {}", fields.source(),
          family.field("hidden_size"), config.hidden_size, family.field("num_attention_heads"),
          config.num_attention_heads);
}

void read_computation(JsonFields& fields, const Family& family, BertConfig& config) {
  const auto number = [&](std::string_view name, double highest) {
    return fields.number(family.field(name), 0, highest);
  };
  const auto activation = family.field("hidden_act");
  if (const auto found = fields.choice<transformer::Activation>(activation, transformer::activation_names)) {
    config.hidden_act = *found;
    config.hidden_act_name = *fields.text(activation);
  }
  config.hidden_dropout_prob = number("hidden_dropout_prob", 0.999).value_or(0.1);
  config.attention_probs_dropout_prob = number("attention_probs_dropout_prob", 0.999).value_or(0.1);
  config.classifier_dropout = number("classifier_dropout", 0.999);
  if (!config.classifier_dropout) config.classifier_dropout = family.defaults.classifier_dropout;
  config.initializer_range = number("initializer_range", 10).value_or(0.02);
  config.layer_norm_eps = number("layer_norm_eps", 1).value_or(1e-12);
  config.tie_word_embeddings = fields.boolean(family.field("tie_word_embeddings")).value_or(true);
}

void read_positions(JsonFields& fields, const Family& family, BertConfig& config) {
  const auto& source = fields.source();
  config.pad_token_id = fields.integer("pad_token_id", -1, config.vocab_size - 1);
  if (!fields.has("pad_token_id")) config.pad_token_id = family.defaults.pad_token_id;
  if (config.pad_token_id == -1) config.pad_token_id.reset();
  require(!family.counts_from_padding || config.pad_token_id,
          "{}: pad_token_id is absent, but RoBERTa's positions are counted from it", source);
  require(config.longest_sequence() > 0, "{}: max_position_embeddings is {}, positions begin at {}", source,
          config.max_position_embeddings, config.first_position());
}

}  // namespace

transformer::Problem BertConfig::problem_or_default() const {
  return problem.value_or(num_labels() == 1 ? transformer::Problem::regression : transformer::Problem::single_label);
}

const Family& BertConfig::family() const {
  const auto* found = find_family(model_type);
  require(found != nullptr, "model_type is {}, expected {}", model_type, known_families());
  return *found;
}

int64_t BertConfig::first_position() const { return family().counts_from_padding ? pad_token_id.value_or(1) + 1 : 0; }

BertConfig parse_config(const Json& json, const std::string& source) {
  JsonFields fields(json, source);
  const Family& family = family_of(fields);
  BertConfig config;
  config.model_type = family.model_type;
  read_sizes(fields, family, config);
  read_computation(fields, family, config);
  read_positions(fields, family, config);
  config.labels = read_labels(fields);
  config.problem = fields.choice<transformer::Problem>("problem_type", problems);
  config.architectures = fields.texts("architectures");
  for (const auto& [name, value, why] : fixed_fields()) fields.fixed(family.field(name), value, why);
  auto kept = hf::kept_fields(json, fields, neutral);
  config.other = std::move(kept.all);
  config.unknown = std::move(kept.unknown);
  return config;
}

BertConfig read_config(const std::filesystem::path& folder) {
  const auto path = folder / "config.json";
  return parse_config(hf::read_json(path), path.string());
}

Json to_json(const BertConfig& config, Head head) {
  Json json = hf::written_fields(config.other);
  const Family& family = config.family();
  const auto set = [&](std::string_view name, Json value) {
    if (const auto theirs = family.field(name); !theirs.empty()) json[std::string(theirs)] = std::move(value);
  };
  json["architectures"] = {family.architectures[static_cast<size_t>(head)]};
  json["model_type"] = config.model_type;
  set("vocab_size", config.vocab_size);
  set("hidden_size", config.hidden_size);
  if (config.embedding_size) set("embedding_size", *config.embedding_size);
  set("num_hidden_layers", config.num_hidden_layers);
  set("num_attention_heads", config.num_attention_heads);
  set("intermediate_size", config.intermediate_size);
  set("max_position_embeddings", config.max_position_embeddings);
  set("type_vocab_size", config.type_vocab_size);
  set("hidden_act", config.hidden_act_name);
  set("hidden_dropout_prob", config.hidden_dropout_prob);
  set("attention_probs_dropout_prob", config.attention_probs_dropout_prob);
  set("classifier_dropout", config.classifier_dropout ? Json(*config.classifier_dropout) : Json());
  set("initializer_range", config.initializer_range);
  set("layer_norm_eps", config.layer_norm_eps);
  set("pad_token_id", config.pad_token_id ? Json(*config.pad_token_id) : Json());
  set("position_embedding_type", "absolute");
  set("tie_word_embeddings", config.tie_word_embeddings);
  if (head == Head::classification) {
    Json id2label = Json::object(), label2id = Json::object();
    for (size_t id = 0; id < config.labels.size(); id++) {
      id2label[std::to_string(id)] = config.labels[id];
      label2id[config.labels[id]] = id;
    }
    json["id2label"] = std::move(id2label);
    json["label2id"] = std::move(label2id);
    json["problem_type"] = problems[static_cast<size_t>(config.problem_or_default())].first;
  }
  return json;
}

std::optional<std::vector<int64_t>> output_rows(const BertConfig& base, const BertConfig& wanted) {
  const auto is_number = [](const BertConfig& config) {
    return config.num_labels() == 1 && config.problem_or_default() == transformer::Problem::regression;
  };
  if (is_number(base) && is_number(wanted)) return std::vector<int64_t>{0};
  if (!std::ranges::is_permutation(base.labels, wanted.labels)) return {};
  std::vector<int64_t> rows;
  for (const auto& label : wanted.labels) rows.push_back(std::ranges::find(base.labels, label) - base.labels.begin());
  return rows;
}

}  // namespace sartor::bert
