#include "models/bert/config.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <set>
#include <utility>

#include "base/require.h"
#include "models/bert/families.h"

namespace sartor::bert {
namespace {

using hf::Json;
using hf::kind_of;

// Bounds that keep every product of sizes far from overflow; whether the weights are there is checked before memory is
// taken.
constexpr int64_t most = int64_t{1} << 24;

constexpr std::array<std::pair<std::string_view, transformer::Activation>, 10> activations = {{
    {"gelu", transformer::Activation::gelu},
    {"gelu_python", transformer::Activation::gelu},
    {"gelu_new", transformer::Activation::gelu_tanh},
    {"gelu_pytorch_tanh", transformer::Activation::gelu_tanh},
    {"gelu_fast", transformer::Activation::gelu_tanh},
    {"gelu_accurate", transformer::Activation::gelu_tanh},
    {"relu", transformer::Activation::relu},
    {"silu", transformer::Activation::silu},
    {"swish", transformer::Activation::silu},
    {"tanh", transformer::Activation::tanh},
}};
constexpr std::array<std::pair<std::string_view, transformer::Problem>, 3> problems = {{
    {"single_label_classification", transformer::Problem::single_label},
    {"multi_label_classification", transformer::Problem::multi_label},
    {"regression", transformer::Problem::regression},
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
                                        "qa_dropout",
                                        "return_dict",
                                        "sep_token_id",
                                        "sinusoidal_pos_embds",
                                        "summary_activation",
                                        "summary_last_dropout",
                                        "summary_type",
                                        "summary_use_proj",
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

// Takes fields out of an object one by one, by BERT's names for them; what is left is unknown.
class Fields {
 public:
  Fields(const Json& json, const Family& family, const std::string& source)
      : json_(json), family_(family), source_(source) {}

  const Json* take(std::string_view name) {
    const auto theirs = family_.field(name);
    if (theirs.empty()) return nullptr;
    const auto found = json_.find(theirs);
    taken_.insert(std::string(theirs));
    return found == json_.end() || found->is_null() ? nullptr : &*found;
  }
  int64_t integer(std::string_view name, int64_t otherwise, int64_t lowest, int64_t highest) {
    const Json* value = take(name);
    if (!value) return otherwise;
    require(value->is_number_integer(), "{}: {}: found {}, expected an integer", source_, family_.field(name),
            kind_of(*value));
    const bool beyond = value->is_number_unsigned() && value->get<uint64_t>() > static_cast<uint64_t>(INT64_MAX);
    const int64_t number = beyond ? INT64_MAX : value->get<int64_t>();
    require(lowest <= number && number <= highest, "{}: {} is {}, expected {} to {}", source_, family_.field(name),
            value->dump(), lowest, highest);
    return number;
  }
  std::optional<double> number(std::string_view name, double lowest, double highest) {
    const Json* value = take(name);
    if (!value) return {};
    require(value->is_number(), "{}: {}: found {}, expected a number", source_, family_.field(name), kind_of(*value));
    const auto found = value->get<double>();
    require(lowest <= found && found <= highest, "{}: {} is {}, expected {} to {}", source_, family_.field(name), found,
            lowest, highest);
    return found;
  }
  std::optional<std::string> text(std::string_view name) {
    const Json* value = take(name);
    if (!value) return {};
    require(value->is_string(), "{}: {}: found {}, expected a string", source_, family_.field(name), kind_of(*value));
    return value->get<std::string>();
  }
  bool boolean(std::string_view name, bool otherwise) {
    const Json* value = take(name);
    if (!value) return otherwise;
    require(value->is_boolean(), "{}: {}: found {}, expected true or false", source_, family_.field(name),
            kind_of(*value));
    return value->get<bool>();
  }
  bool taken(const std::string& name) const { return taken_.contains(name); }

 private:
  const Json& json_;
  const Family& family_;
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

// Of the embeddings and layers, in names of a model with `head`.
std::string_view base_prefix(const BertConfig& config, Head head) {
  return head == Head::none ? "" : config.family().prefix;
}

const Family& family_of(const Json& json, const std::string& source) {
  const auto type = json.find("model_type");
  require(type != json.end() && !type->is_null(), "{}: has no model_type", source);
  require(type->is_string(), "{}: model_type: found {}, expected a string", source, kind_of(*type));
  const auto* family = find_family(type->get_ref<const std::string&>());
  require(family != nullptr, "{}: model_type is {}, expected {}", source, type->get_ref<const std::string&>(),
          known_families());
  return *family;
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
  require(json.is_object(), "{}: found {}, expected an object", source, kind_of(json));
  const Family& family = family_of(json, source);
  const auto& defaults = family.defaults;
  Fields fields(json, family, source);
  BertConfig config;
  config.model_type = *fields.text("model_type");
  config.vocab_size = fields.integer("vocab_size", defaults.vocab_size, 1, most);
  config.hidden_size = fields.integer("hidden_size", defaults.hidden_size, 1, 1 << 16);
  if (defaults.embedding_size) {
    config.embedding_size = fields.integer("embedding_size", *defaults.embedding_size, 1, 1 << 16);
  }
  config.num_hidden_layers = fields.integer("num_hidden_layers", defaults.num_hidden_layers, 1, 1024);
  config.num_attention_heads = fields.integer("num_attention_heads", defaults.num_attention_heads, 1, 1024);
  config.intermediate_size = fields.integer("intermediate_size", defaults.intermediate_size, 1, 1 << 20);
  config.max_position_embeddings = fields.integer("max_position_embeddings", 512, 1, most);
  config.type_vocab_size = fields.integer("type_vocab_size", 2, 1, 1 << 16);
  require(config.hidden_size % config.num_attention_heads == 0, "{}: {} {} is no multiple of {} {}", source,
          family.field("hidden_size"), config.hidden_size, family.field("num_attention_heads"),
          config.num_attention_heads);

  if (const auto name = fields.text("hidden_act")) {
    const auto found = std::ranges::find(activations, std::string_view(*name),
                                         &std::pair<std::string_view, transformer::Activation>::first);
    std::vector<std::string_view> known;
    for (const auto& [each, activation] : activations) known.push_back(each);
    require(found != activations.end(), "{}: {} is {}, expected one of {}", source, family.field("hidden_act"), *name,
            fmt::join(known, ", "));
    config.hidden_act = found->second;
    config.hidden_act_name = *name;
  }
  config.hidden_dropout_prob = fields.number("hidden_dropout_prob", 0, 0.999).value_or(0.1);
  config.attention_probs_dropout_prob = fields.number("attention_probs_dropout_prob", 0, 0.999).value_or(0.1);
  config.classifier_dropout = fields.number("classifier_dropout", 0, 0.999);
  if (!config.classifier_dropout) config.classifier_dropout = defaults.classifier_dropout;
  config.initializer_range = fields.number("initializer_range", 0, 10).value_or(0.02);
  config.layer_norm_eps = fields.number("layer_norm_eps", 0, 1).value_or(1e-12);
  config.tie_word_embeddings = fields.boolean("tie_word_embeddings", true);

  const int64_t pad = fields.integer("pad_token_id", defaults.pad_token_id, -1, config.vocab_size - 1);
  const bool no_pad = json.contains("pad_token_id") && (json["pad_token_id"].is_null() || pad < 0);
  config.pad_token_id = no_pad ? std::nullopt : std::optional(pad);
  require(!family.counts_from_padding || config.pad_token_id,
          "{}: pad_token_id is absent, from which RoBERTa's positions count", source);
  require(config.longest_sequence() > 0, "{}: max_position_embeddings is {}, positions begin at {}", source,
          config.max_position_embeddings, config.first_position());

  config.labels = read_labels(fields, source);
  if (const auto name = fields.text("problem_type")) {
    const auto found =
        std::ranges::find(problems, std::string_view(*name), &std::pair<std::string_view, transformer::Problem>::first);
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
    const Json* value = fields.taken(std::string(fixed.name)) ? nullptr : fields.take(fixed.name);
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

std::vector<Parameter> parameters(const BertConfig& config, Head head) {
  std::vector<Parameter> all;
  const Family& family = config.family();
  const int64_t hidden = config.hidden_size, wide = config.intermediate_size, narrow = config.embedding_width();
  const auto add = [&](std::string_view module, const char* part, std::vector<int64_t> shape) {
    all.push_back({std::string(module) + part, std::move(shape)});
  };
  const auto linear = [&](std::string_view name, int64_t out, int64_t in) {
    add(name, ".weight", {out, in});
    add(name, ".bias", {out});
  };
  const auto norm = [&](std::string_view name, int64_t size) {
    add(name, ".weight", {size});
    add(name, ".bias", {size});
  };
  const std::string base(base_prefix(config, head));

  add(base, "embeddings.word_embeddings.weight", {config.vocab_size, narrow});
  add(base, "embeddings.position_embeddings.weight", {config.max_position_embeddings, narrow});
  if (family.has_token_types) add(base, "embeddings.token_type_embeddings.weight", {config.type_vocab_size, narrow});
  norm(base + "embeddings.LayerNorm", narrow);
  if (narrow != hidden) linear(base + "embeddings_project", hidden, narrow);
  for (int64_t i = 0; i < config.num_hidden_layers; i++) {
    const auto layer = fmt::format("{}{}{}.", base, family.layers, i);
    const auto& [query, key, value, attention_output, intermediate, output] = family.modules;
    for (const auto module : {query, key, value, attention_output}) linear(layer + std::string(module), hidden, hidden);
    norm(layer + std::string(family.attention_norm), hidden);
    linear(layer + std::string(intermediate), wide, hidden);
    linear(layer + std::string(output), hidden, wide);
    norm(layer + std::string(family.norm), hidden);
  }
  if (head == Head::none && family.has_pooler) linear("pooler.dense", hidden, hidden);
  if (head == Head::classification) {
    linear(family.classifier.dense, hidden, hidden);
    linear(family.classifier.output, config.num_labels(), hidden);
  } else if (head == Head::masked_lm) {
    const auto& lm = family.masked_lm;
    add(lm.bias, "", {config.vocab_size});
    linear(lm.dense, narrow, hidden);
    norm(lm.norm, narrow);
    if (!config.tie_word_embeddings) add(lm.decoder, ".weight", {config.vocab_size, narrow});
  }
  return all;
}

std::string canonical_name(std::string_view name, const BertConfig& config, Head head) {
  std::string canonical(name);
  for (const auto& [old, current] :
       {std::pair{"LayerNorm.gamma", "LayerNorm.weight"}, {"LayerNorm.beta", "LayerNorm.bias"}}) {
    if (canonical.ends_with(old)) canonical.replace(canonical.rfind(old), std::string::npos, current);
  }
  const Family& family = config.family();
  std::string_view inner = canonical;
  if (inner.starts_with(family.prefix)) inner.remove_prefix(family.prefix.size());
  if (in_encoder(inner, family) || inner.starts_with("pooler.")) {
    return std::string(base_prefix(config, head)).append(inner);
  }
  return canonical;
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
