#include "models/gpt/config.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/require.h"
#include "models/gpt/families.h"
#include "models/hf/config_fields.h"
#include "models/hf/json_fields.h"

namespace sartor::gpt {
namespace {

using hf::Json;
using hf::JsonFields;

constexpr int64_t most = hf::largest_size;

const std::vector<hf::FixedField>& fixed_fields() {
  static const std::vector<hf::FixedField> fields = {
      {"is_encoder_decoder", false, "encoders are not supported"},
      {"add_cross_attention", false, "cross-attention is not supported"},
      {"pruned_heads", Json::object(), "pruned heads are not supported"},
      {"quantization_config", nullptr, "quantized weights are not supported"},
      {"per_layer_config", nullptr, "layers of different kinds are not supported"},
      {"pretraining_tp", 1, "divided products are not supported"},
  };
  return fields;
}

// Fields that do not affect the computation here, besides those of any model. reorder_and_upcast_attn: attention always
// computes in fp32.
constexpr std::string_view neutral[] = {"id2label",
                                        "is_decoder",
                                        "is_llama_config",
                                        "label2id",
                                        "n_ctx",
                                        "num_labels",
                                        "predict_special_tokens",
                                        "problem_type",
                                        "reorder_and_upcast_attn",
                                        "summary_first_dropout",
                                        "summary_proj_to_labels",
                                        "transformers.js_config"};

// Fields that are checked and written back unchanged.
constexpr std::string_view window_fields[] = {"sliding_window", "use_sliding_window", "max_window_layers",
                                              "layer_types"};

const Family& family_of(JsonFields& fields) {
  const auto type = fields.required_text("model_type");
  const auto* family = find_family(type);
  require(family != nullptr, "{}: model_type is {}, expected {}", fields.source(), type, known_families());
  return *family;
}

// In transformers, null means the number of query heads, and absent the default.
int64_t read_key_value_heads(JsonFields& fields, const Family& family, int64_t heads) {
  const auto name = family.field("num_key_value_heads");
  if (const auto found = fields.integer(name, 1, 1024)) return *found;
  return fields.has(name) ? heads : family.defaults.num_key_value_heads.value_or(heads);
}

void read_sizes(JsonFields& fields, const Family& family, GptConfig& config) {
  const auto& defaults = family.defaults;
  const auto& source = fields.source();
  const auto size = [&](std::string_view name, int64_t otherwise, int64_t highest) {
    return fields.integer(family.field(name), 1, highest).value_or(otherwise);
  };
  config.vocab_size = size("vocab_size", defaults.vocab_size, most);
  config.hidden_size = size("hidden_size", defaults.hidden_size, 1 << 16);
  config.num_hidden_layers = size("num_hidden_layers", defaults.num_hidden_layers, 1024);
  const int64_t heads = config.num_attention_heads = size("num_attention_heads", defaults.num_attention_heads, 1024);
  config.num_key_value_heads = read_key_value_heads(fields, family, heads);
  config.intermediate_size =
      size("intermediate_size", defaults.intermediate_size.value_or(4 * config.hidden_size), 1 << 20);
  config.max_position_embeddings = size("max_position_embeddings", defaults.max_position_embeddings, most);
  config.head_dim = size("head_dim", defaults.head_dim.value_or(0), 1 << 12);
  if (config.head_dim == 0) {
    require(config.hidden_size % heads == 0, "{}: {} {} is not a multiple of {} {}", source,
            family.field("hidden_size"), config.hidden_size, family.field("num_attention_heads"), heads);
    config.head_dim = config.hidden_size / heads;
  }
  require(heads % config.num_key_value_heads == 0,
          "{}: num_attention_heads {} is not a multiple of num_key_value_heads {}", source, heads,
          config.num_key_value_heads);
  require(!family.is_rotary() || config.head_dim % 2 == 0, "{}: head_dim is {}, expected an even number for rotation",
          source, config.head_dim);
}

void read_computation(JsonFields& fields, const Family& family, GptConfig& config) {
  const auto& defaults = family.defaults;
  const auto dropout = [&](std::string_view name) {
    return fields.number(family.field(name), 0, 0.999).value_or(defaults.dropout);
  };
  const auto flag = [&](std::string_view name, bool otherwise) {
    return fields.boolean(family.field(name)).value_or(otherwise);
  };
  const auto activation = family.field("hidden_act");
  config.hidden_act_name = fields.text(activation).value_or(std::string(defaults.hidden_act));
  config.hidden_act =
      fields.choice<transformer::Activation>(activation, transformer::activation_names)
          .value_or(family.is_gated() ? transformer::Activation::silu : transformer::Activation::gelu_tanh);
  config.norm_eps = fields.number(family.field("rms_norm_eps"), 0, 1).value_or(defaults.norm_eps);
  config.initializer_range = fields.number("initializer_range", 0, 10).value_or(0.02);
  config.embedding_dropout = dropout("embedding_dropout");
  config.hidden_dropout = dropout("hidden_dropout");
  config.attention_dropout = dropout("attention_dropout");
  const bool has_biases = !family.is_rotary();  // GPT-2 always has them
  config.query_key_value_bias = flag("attention_bias", has_biases || defaults.biased_queries);
  config.attention_output_bias = flag("attention_bias", has_biases);
  config.mlp_bias = flag("mlp_bias", has_biases);
  config.scale_attention = flag("scale_attn_weights", true);
  config.scale_attention_by_layer = flag("scale_attn_by_inverse_layer_idx", false);
  config.tie_word_embeddings = flag("tie_word_embeddings", defaults.tie_word_embeddings);
}

// A number or an array of numbers; `otherwise` if absent.
std::vector<int64_t> read_end_tokens(JsonFields& fields, std::optional<int64_t> otherwise) {
  constexpr const char* name = "eos_token_id";
  if (!fields.has(name)) return otherwise ? std::vector{*otherwise} : std::vector<int64_t>();
  const Json* found = fields.take(name);
  std::vector<int64_t> tokens;
  if (!found) return tokens;
  for (const auto& token : found->is_array() ? *found : Json::array({*found})) {
    require(token.is_number_integer(), "{}: {}: found {}, expected a token id or an array of them", fields.source(),
            name, hf::kind_of(token));
    require(token.is_number_unsigned() || token.get<int64_t>() >= 0, "{}: {} is {}, expected 0 or more",
            fields.source(), name, token.dump());
    require(token.get<uint64_t>() < static_cast<uint64_t>(most), "{}: {} is {}, expected less than {}", fields.source(),
            name, token.dump(), most);
    tokens.push_back(token.get<int64_t>());
  }
  return tokens;
}

void read_tokens(JsonFields& fields, const Family& family, GptConfig& config) {
  // The row of the padding token gets no gradient in the Llama family; GPT-2 does not know it.
  const int64_t highest = (family.is_rotary() ? config.vocab_size : most) - 1;
  config.pad_token_id = fields.integer("pad_token_id", -1, highest);
  if (config.pad_token_id == -1) config.pad_token_id.reset();
  config.bos_token_id = fields.integer("bos_token_id", -1, most);
  if (!fields.has("bos_token_id")) config.bos_token_id = family.defaults.bos_token_id;
  config.eos_token_ids = read_end_tokens(fields, family.defaults.eos_token_id);
}

// Whether any layer attends only to a window of earlier tokens. `enabled`: whether the config has a window at all.
bool has_windowed_layer(JsonFields& fields, const Family& family, const GptConfig& config, bool enabled) {
  const auto& source = fields.source();
  const auto types = fields.texts("layer_types");
  bool windowed = false;
  for (const auto& type : types) {
    require(type == "full_attention" || type == "sliding_attention", "{}: layer_types has {}, expected full_attention",
            source, type);
    windowed |= type == "sliding_attention";
  }
  require(types.empty() || std::ssize(types) == config.num_hidden_layers,
          "{}: layer_types has {} layers, expected num_hidden_layers, {}", source, types.size(),
          config.num_hidden_layers);
  require(!windowed || enabled, "{}: layer_types has sliding_attention, but there is no sliding window", source);
  const int64_t first = fields.integer("max_window_layers", 0, INT64_MAX).value_or(28);
  return enabled && (!family.windows_by_layer || (types.empty() ? first < config.num_hidden_layers : windowed));
}

// Throws if any layer attends to less than all earlier tokens.
void check_windows(JsonFields& fields, const Family& family, const GptConfig& config) {
  const int64_t given = fields.integer("sliding_window", 0, INT64_MAX).value_or(-1);
  const int64_t window = fields.has("sliding_window") ? given : family.defaults.sliding_window.value_or(-1);
  const bool used = fields.boolean("use_sliding_window").value_or(false) || !family.windows_by_layer;
  const bool enabled = used && window >= 0;
  const bool windowed = has_windowed_layer(fields, family, config, enabled);
  require(!windowed || window >= config.longest_sequence(),
          "{}: sliding_window is {}, expected null or at least the model's {} positions: sliding windows are not "
          "supported",
          fields.source(), window, config.longest_sequence());
}

// transformers reads n_embd from a field hidden_size, too.
void check_synonyms(JsonFields& fields, const Family& family, const GptConfig& config) {
  const std::pair<const char*, int64_t> synonyms[] = {{"hidden_size", config.hidden_size},
                                                      {"num_hidden_layers", config.num_hidden_layers},
                                                      {"num_attention_heads", config.num_attention_heads},
                                                      {"max_position_embeddings", config.max_position_embeddings}};
  for (const auto& [name, value] : synonyms) {
    if (family.field(name) != name)
      fields.fixed(name, value, "it is another name of " + std::string(family.field(name)));
  }
}

Json tokens_json(const std::vector<int64_t>& tokens) {
  if (tokens.empty()) return {};
  return tokens.size() == 1 ? Json(tokens[0]) : Json(tokens);
}

}  // namespace

const Family& GptConfig::family() const {
  const auto* found = find_family(model_type);
  require(found != nullptr, "model_type is {}, expected {}", model_type, known_families());
  return *found;
}

int64_t GptConfig::longest_sequence() const {
  return family().is_rotary() ? rotary.longest_sequence(max_position_embeddings) : max_position_embeddings;
}

double GptConfig::attention_scale(int64_t layer) const {
  const double scale = scale_attention ? 1 / std::sqrt(static_cast<double>(head_dim)) : 1;
  return scale_attention_by_layer ? scale / static_cast<double>(layer + 1) : scale;
}

std::vector<int64_t> GptConfig::end_tokens() const {
  if (!generation.is_object() || !generation.contains("eos_token_id")) return eos_token_ids;
  JsonFields fields(generation, "generation_config.json");
  return read_end_tokens(fields, {});
}

GptConfig parse_config(const Json& json, const std::string& source) {
  JsonFields fields(json, source);
  const Family& family = family_of(fields);
  GptConfig config;
  config.model_type = family.model_type;
  read_sizes(fields, family, config);
  read_computation(fields, family, config);
  read_tokens(fields, family, config);
  if (family.is_rotary()) {
    config.rotary = parse_rotary(fields, config.max_position_embeddings);
    require(config.rotary.type != RotaryType::dynamic || config.head_dim > 2,
            "{}: head_dim is 2, expected at least 4 for dynamic scaling", source);
    check_windows(fields, family, config);
  }
  check_synonyms(fields, family, config);
  fields.texts("architectures");
  for (const auto& [name, value, why] : fixed_fields()) fields.fixed(name, value, why);
  auto kept = hf::kept_fields(json, fields, neutral);
  config.other = std::move(kept.all);
  config.unknown = std::move(kept.unknown);
  for (const auto name : window_fields) {
    if (family.is_rotary() && json.contains(name)) config.other[std::string(name)] = json[name];
  }
  return config;
}

GptConfig read_config(const std::filesystem::path& folder) {
  const auto path = folder / "config.json", generation = folder / "generation_config.json";
  auto config = parse_config(hf::read_json(path), path.string());
  if (std::filesystem::exists(generation)) {
    config.generation = hf::read_json(generation);
    JsonFields fields(config.generation, generation.string());
    read_end_tokens(fields, {});
  }
  return config;
}

Json to_json(const GptConfig& config) {
  Json json = hf::written_fields(config.other);
  const Family& family = config.family();
  const auto set = [&](std::string_view name, Json value) {
    if (const auto theirs = family.field(name); !theirs.empty()) json[std::string(theirs)] = std::move(value);
  };
  json["architectures"] = {family.architecture};
  json["model_type"] = config.model_type;
  set("vocab_size", config.vocab_size);
  set("hidden_size", config.hidden_size);
  set("num_hidden_layers", config.num_hidden_layers);
  set("num_attention_heads", config.num_attention_heads);
  set("num_key_value_heads", config.num_key_value_heads);
  set("head_dim", config.head_dim);
  set("intermediate_size", config.intermediate_size);
  set("max_position_embeddings", config.max_position_embeddings);
  set("hidden_act", config.hidden_act_name);
  set("rms_norm_eps", config.norm_eps);
  set("initializer_range", config.initializer_range);
  set("embedding_dropout", config.embedding_dropout);
  set("hidden_dropout", config.hidden_dropout);
  set("attention_dropout", config.attention_dropout);
  set("attention_bias", config.query_key_value_bias);
  set("mlp_bias", config.mlp_bias);
  set("scale_attn_weights", config.scale_attention);
  set("scale_attn_by_inverse_layer_idx", config.scale_attention_by_layer);
  set("tie_word_embeddings", config.tie_word_embeddings);
  if (family.is_rotary()) write_rotary(config.rotary, json);
  set("bos_token_id", config.bos_token_id ? Json(*config.bos_token_id) : Json());
  set("eos_token_id", tokens_json(config.eos_token_ids));
  set("pad_token_id", config.pad_token_id ? Json(*config.pad_token_id) : Json());
  return json;
}

}  // namespace sartor::gpt
