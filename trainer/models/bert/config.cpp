#include "models/bert/config.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <set>
#include <utility>

#include "schema/require.h"

namespace sartor::bert {
namespace {

using hf::Json;
using hf::kind_of;

// Bounds that keep every product of sizes far from overflow; whether the weights are there is checked before memory is
// taken.
constexpr int64_t most = int64_t{1} << 24;

constexpr std::array<std::pair<std::string_view, Activation>, 10> activations = {{
    {"gelu", Activation::gelu},
    {"gelu_python", Activation::gelu},
    {"gelu_new", Activation::gelu_tanh},
    {"gelu_pytorch_tanh", Activation::gelu_tanh},
    {"gelu_fast", Activation::gelu_tanh},
    {"gelu_accurate", Activation::gelu_tanh},
    {"relu", Activation::relu},
    {"silu", Activation::silu},
    {"swish", Activation::silu},
    {"tanh", Activation::tanh},
}};
constexpr std::array<std::pair<std::string_view, Problem>, 3> problems = {{
    {"single_label_classification", Problem::single_label},
    {"multi_label_classification", Problem::multi_label},
    {"regression", Problem::regression},
}};

// A field that must have one value, or be absent or null: another would change the model.
struct Fixed {
  std::string_view name;
  Json value;
  std::string_view why;
};
const std::vector<Fixed>& fixed_fields() {
  static const std::vector<Fixed> fields = {
      {"position_embedding_type", "absolute", "other position embeddings are not built"},
      {"is_decoder", false, "the attention here looks both ways"},
      {"add_cross_attention", false, "there is no decoder"},
      {"is_encoder_decoder", false, "there is no decoder"},
      {"tie_encoder_decoder", false, "there is no decoder"},
      {"pruned_heads", Json::object(), "pruned heads are not built"},
      {"quantization_config", nullptr, "quantized weights are not read"},
      {"embedding_size", nullptr, "factorised embeddings are not built"},
      {"per_layer_config", nullptr, "layers of different kinds are not built"},
  };
  return fields;
}

// Fields that change nothing in what is computed here.
constexpr std::string_view neutral[] = {"_name_or_path",
                                        "_num_labels",
                                        "adapters",
                                        "attn_implementation",
                                        "_attn_implementation",
                                        "bos_token_id",
                                        "chunk_size_feed_forward",
                                        "cls_token_id",
                                        "decoder_start_token_id",
                                        "directionality",
                                        "dtype",
                                        "eos_token_id",
                                        "finetuning_task",
                                        "gradient_checkpointing",
                                        "mask_token_id",
                                        "output_attentions",
                                        "output_hidden_states",
                                        "output_past",
                                        "pooler_fc_size",
                                        "pooler_num_attention_heads",
                                        "pooler_num_fc_layers",
                                        "pooler_size_per_head",
                                        "pooler_type",
                                        "return_dict",
                                        "sep_token_id",
                                        "task_specific_params",
                                        "tokenizer_class",
                                        "torch_dtype",
                                        "torchscript",
                                        "transformers_version",
                                        "unk_token_id",
                                        "use_cache",
                                        "model_name",
                                        "sentence_transformers",
                                        "use_bfloat16",
                                        "xla_device"};

// Takes fields out of an object one by one; what is left is unknown.
class Fields {
 public:
  Fields(const Json& json, const std::string& source) : json_(json), source_(source) {}

  const Json* take(std::string_view name) {
    const auto found = json_.find(name);
    taken_.insert(std::string(name));
    return found == json_.end() || found->is_null() ? nullptr : &*found;
  }
  int64_t integer(std::string_view name, int64_t otherwise, int64_t lowest, int64_t highest) {
    const Json* value = take(name);
    if (!value) return otherwise;
    require(value->is_number_integer(), "{}: {}: found {}, expected an integer", source_, name, kind_of(*value));
    const bool beyond = value->is_number_unsigned() && value->get<uint64_t>() > static_cast<uint64_t>(INT64_MAX);
    const int64_t number = beyond ? INT64_MAX : value->get<int64_t>();
    require(lowest <= number && number <= highest, "{}: {} is {}, expected {} to {}", source_, name, value->dump(),
            lowest, highest);
    return number;
  }
  std::optional<double> number(std::string_view name, double lowest, double highest) {
    const Json* value = take(name);
    if (!value) return {};
    require(value->is_number(), "{}: {}: found {}, expected a number", source_, name, kind_of(*value));
    const auto found = value->get<double>();
    require(lowest <= found && found <= highest, "{}: {} is {}, expected {} to {}", source_, name, found, lowest,
            highest);
    return found;
  }
  std::optional<std::string> text(std::string_view name) {
    const Json* value = take(name);
    if (!value) return {};
    require(value->is_string(), "{}: {}: found {}, expected a string", source_, name, kind_of(*value));
    return value->get<std::string>();
  }
  bool boolean(std::string_view name, bool otherwise) {
    const Json* value = take(name);
    if (!value) return otherwise;
    require(value->is_boolean(), "{}: {}: found {}, expected true or false", source_, name, kind_of(*value));
    return value->get<bool>();
  }
  bool taken(const std::string& name) const { return taken_.contains(name); }

 private:
  const Json& json_;
  const std::string& source_;
  std::set<std::string, std::less<>> taken_;
};

std::vector<std::string> default_labels(int64_t count) {
  std::vector<std::string> labels;
  for (int64_t i = 0; i < count; i++) labels.push_back(fmt::format("LABEL_{}", i));
  return labels;
}

// id2label {"0": "negative", "1": "positive"}, checked against label2id and num_labels where they are there.
std::vector<std::string> read_labels(Fields& fields, const std::string& source) {
  const Json *id2label = fields.take("id2label"), *label2id = fields.take("label2id");
  const int64_t count = fields.integer("num_labels", -1, 1, most);
  std::vector<std::string> labels;
  if (id2label) {
    require(id2label->is_object(), "{}: id2label: found {}, expected an object", source, kind_of(*id2label));
    const auto size = static_cast<int64_t>(id2label->size());
    labels.resize(size);
    std::vector<bool> has(size);
    for (const auto& [key, label] : id2label->items()) {
      int64_t id = 0;
      for (const char digit : key) id = '0' <= digit && digit <= '9' && id < most ? 10 * id + (digit - '0') : most;
      require(!key.empty() && id < size && !has[id], "{}: id2label: \"{}\" is no id of 0 to {}", source, key, size - 1);
      require(label.is_string() || label.is_number_integer(), "{}: id2label: {}: found {}, expected a string", source,
              key, kind_of(label));
      labels[id] = label.is_string() ? label.get<std::string>() : label.dump();
      has[id] = true;
    }
    require(size > 0, "{}: id2label is empty", source);
    require(count < 0 || count == size, "{}: num_labels is {}, id2label has {}", source, count, size);
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
              "{}: label2id says {} is {}, id2label does not", source, label, number);
    }
  }
  return labels;
}

std::string_view architecture(const BertConfig& config, Head head) {
  const bool roberta = config.family == Family::roberta;
  if (config.model_type == "xlm-roberta") {
    return std::array{"XLMRobertaModel", "XLMRobertaForSequenceClassification", "XLMRobertaForMaskedLM"}[int(head)];
  }
  if (config.model_type == "camembert") {
    return std::array{"CamembertModel", "CamembertForSequenceClassification", "CamembertForMaskedLM"}[int(head)];
  }
  return roberta ? std::array{"RobertaModel", "RobertaForSequenceClassification", "RobertaForMaskedLM"}[int(head)]
                 : std::array{"BertModel", "BertForSequenceClassification", "BertForMaskedLM"}[int(head)];
}

std::string_view base_prefix(const BertConfig& config) {
  return config.family == Family::roberta ? "roberta." : "bert.";
}

}  // namespace

Problem BertConfig::problem_or_default() const {
  return problem.value_or(num_labels() == 1 ? Problem::regression : Problem::single_label);
}

BertConfig parse_config(const Json& json, const std::string& source) {
  require(json.is_object(), "{}: found {}, expected an object", source, kind_of(json));
  Fields fields(json, source);
  BertConfig config;

  const auto type = fields.text("model_type");
  require(type.has_value(), "{}: has no model_type", source);
  require(*type == "bert" || *type == "roberta" || *type == "xlm-roberta" || *type == "camembert",
          "{}: model_type is {}, expected bert, roberta, xlm-roberta or camembert", source, *type);
  config.model_type = *type;
  config.family = *type == "bert" ? Family::bert : Family::roberta;
  const bool roberta = config.family == Family::roberta;

  config.vocab_size = fields.integer("vocab_size", roberta ? 50265 : 30522, 1, most);
  config.hidden_size = fields.integer("hidden_size", 768, 1, 1 << 16);
  config.num_hidden_layers = fields.integer("num_hidden_layers", 12, 1, 1024);
  config.num_attention_heads = fields.integer("num_attention_heads", 12, 1, 1024);
  config.intermediate_size = fields.integer("intermediate_size", 3072, 1, 1 << 20);
  config.max_position_embeddings = fields.integer("max_position_embeddings", 512, 1, most);
  config.type_vocab_size = fields.integer("type_vocab_size", 2, 1, 1 << 16);
  require(config.hidden_size % config.num_attention_heads == 0,
          "{}: hidden_size {} is no multiple of num_attention_heads {}", source, config.hidden_size,
          config.num_attention_heads);

  if (const auto name = fields.text("hidden_act")) {
    const auto found =
        std::ranges::find(activations, std::string_view(*name), &std::pair<std::string_view, Activation>::first);
    std::vector<std::string_view> known;
    for (const auto& [each, activation] : activations) known.push_back(each);
    require(found != activations.end(), "{}: hidden_act is {}, expected one of {}", source, *name,
            fmt::join(known, ", "));
    config.hidden_act = found->second;
    config.hidden_act_name = *name;
  }
  config.hidden_dropout_prob = fields.number("hidden_dropout_prob", 0, 0.999).value_or(0.1);
  config.attention_probs_dropout_prob = fields.number("attention_probs_dropout_prob", 0, 0.999).value_or(0.1);
  config.classifier_dropout = fields.number("classifier_dropout", 0, 0.999);
  config.initializer_range = fields.number("initializer_range", 0, 10).value_or(0.02);
  config.layer_norm_eps = fields.number("layer_norm_eps", 0, 1).value_or(1e-12);
  config.tie_word_embeddings = fields.boolean("tie_word_embeddings", true);

  const int64_t pad = fields.integer("pad_token_id", roberta ? 1 : 0, -1, config.vocab_size - 1);
  const bool no_pad = json.contains("pad_token_id") && (json["pad_token_id"].is_null() || pad < 0);
  config.pad_token_id = no_pad ? std::nullopt : std::optional(pad);
  require(!roberta || config.pad_token_id, "{}: pad_token_id is absent, from which RoBERTa's positions count", source);
  require(config.longest_sequence() > 0, "{}: max_position_embeddings is {}, positions begin at {}", source,
          config.max_position_embeddings, config.first_position());

  config.labels = read_labels(fields, source);
  if (const auto name = fields.text("problem_type")) {
    const auto found =
        std::ranges::find(problems, std::string_view(*name), &std::pair<std::string_view, Problem>::first);
    require(found != problems.end(),
            "{}: problem_type is {}, expected single_label_classification, multi_label_classification or regression",
            source, *name);
    config.problem = found->second;
  }
  if (const Json* names = fields.take("architectures")) {
    require(names->is_array(), "{}: architectures: found {}, expected an array of strings", source, kind_of(*names));
    for (const auto& name : *names) {
      require(name.is_string(), "{}: architectures: found {}, expected a string", source, kind_of(name));
      config.architectures.push_back(name.get<std::string>());
    }
  }
  for (const auto& fixed : fixed_fields()) {
    const Json* value = fields.take(fixed.name);
    if (!value) continue;
    require(*value == fixed.value, "{}: {} is {}, expected {}: {}", source, fixed.name, value->dump(),
            fixed.value.dump(), fixed.why);
  }
  for (const auto& [name, value] : json.items()) {
    if (fields.taken(name)) continue;
    config.other[name] = value;
    if (std::ranges::find(neutral, std::string_view(name)) == std::end(neutral)) config.unknown.push_back(name);
  }
  return config;
}

BertConfig read_config(const std::filesystem::path& folder) {
  const auto path = folder / "config.json";
  return parse_config(hf::read_json(path), path.string());
}

Json to_json(const BertConfig& config, Head head) {
  Json json = config.other;
  for (const auto* stale : {"torch_dtype", "_name_or_path", "_num_labels"}) json.erase(stale);
  json["dtype"] = "float32";
  json["architectures"] = {architecture(config, head)};
  json["model_type"] = config.model_type;
  json["vocab_size"] = config.vocab_size;
  json["hidden_size"] = config.hidden_size;
  json["num_hidden_layers"] = config.num_hidden_layers;
  json["num_attention_heads"] = config.num_attention_heads;
  json["intermediate_size"] = config.intermediate_size;
  json["max_position_embeddings"] = config.max_position_embeddings;
  json["type_vocab_size"] = config.type_vocab_size;
  json["hidden_act"] = config.hidden_act_name;
  json["hidden_dropout_prob"] = config.hidden_dropout_prob;
  json["attention_probs_dropout_prob"] = config.attention_probs_dropout_prob;
  json["classifier_dropout"] = config.classifier_dropout ? Json(*config.classifier_dropout) : Json();
  json["initializer_range"] = config.initializer_range;
  json["layer_norm_eps"] = config.layer_norm_eps;
  json["pad_token_id"] = config.pad_token_id ? Json(*config.pad_token_id) : Json();
  json["position_embedding_type"] = "absolute";
  json["tie_word_embeddings"] = config.tie_word_embeddings;
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

std::vector<Parameter> parameters(const BertConfig& config, Head head) {
  std::vector<Parameter> all;
  const int64_t hidden = config.hidden_size, wide = config.intermediate_size;
  const auto linear = [&](const std::string& name, int64_t out, int64_t in) {
    all.push_back({name + ".weight", {out, in}});
    all.push_back({name + ".bias", {out}});
  };
  const auto norm = [&](const std::string& name) {
    all.push_back({name + ".weight", {hidden}});
    all.push_back({name + ".bias", {hidden}});
  };
  const bool roberta = config.family == Family::roberta;
  const std::string base(head == Head::none ? "" : base_prefix(config));

  all.push_back({base + "embeddings.word_embeddings.weight", {config.vocab_size, hidden}});
  all.push_back({base + "embeddings.position_embeddings.weight", {config.max_position_embeddings, hidden}});
  all.push_back({base + "embeddings.token_type_embeddings.weight", {config.type_vocab_size, hidden}});
  norm(base + "embeddings.LayerNorm");
  for (int64_t i = 0; i < config.num_hidden_layers; i++) {
    const auto layer = fmt::format("{}encoder.layer.{}.", base, i);
    for (const auto* part : {"query", "key", "value"}) linear(layer + "attention.self." + part, hidden, hidden);
    linear(layer + "attention.output.dense", hidden, hidden);
    norm(layer + "attention.output.LayerNorm");
    linear(layer + "intermediate.dense", wide, hidden);
    linear(layer + "output.dense", hidden, wide);
    norm(layer + "output.LayerNorm");
  }
  if (head == Head::none || (head == Head::classification && !roberta)) linear(base + "pooler.dense", hidden, hidden);
  if (head == Head::classification && roberta) {
    linear("classifier.dense", hidden, hidden);
    linear("classifier.out_proj", config.num_labels(), hidden);
  } else if (head == Head::classification) {
    linear("classifier", config.num_labels(), hidden);
  } else if (head == Head::masked_lm) {
    const std::string lm = roberta ? "lm_head." : "cls.predictions.";
    all.push_back({lm + "bias", {config.vocab_size}});
    linear(lm + (roberta ? "dense" : "transform.dense"), hidden, hidden);
    norm(lm + (roberta ? "layer_norm" : "transform.LayerNorm"));
    if (!config.tie_word_embeddings) all.push_back({lm + "decoder.weight", {config.vocab_size, hidden}});
  }
  return all;
}

std::string canonical_name(std::string_view name, const BertConfig& config, Head head) {
  std::string canonical(name);
  for (const auto& [old, current] :
       {std::pair{"LayerNorm.gamma", "LayerNorm.weight"}, {"LayerNorm.beta", "LayerNorm.bias"}}) {
    if (canonical.ends_with(old)) canonical.replace(canonical.rfind(old), std::string::npos, current);
  }
  std::string_view inner = canonical;
  const auto base = base_prefix(config);
  if (inner.starts_with(base)) inner.remove_prefix(base.size());
  for (const auto* part : {"embeddings.", "encoder.", "pooler."}) {
    if (inner.starts_with(part)) return std::string(head == Head::none ? "" : base).append(inner);
  }
  return canonical;
}

std::string output_layer(const BertConfig& config) {
  return config.family == Family::roberta ? "classifier.out_proj" : "classifier";
}

std::optional<std::vector<int64_t>> output_rows(const BertConfig& base, const BertConfig& wanted) {
  const auto is_number = [](const BertConfig& config) {
    return config.num_labels() == 1 && config.problem_or_default() == Problem::regression;
  };
  if (is_number(base) && is_number(wanted)) return std::vector<int64_t>{0};
  if (!std::ranges::is_permutation(base.labels, wanted.labels)) return {};
  std::vector<int64_t> rows;
  for (const auto& label : wanted.labels) rows.push_back(std::ranges::find(base.labels, label) - base.labels.begin());
  return rows;
}

}  // namespace sartor::bert
