#include "models/gpt/rotary_config.h"

#include <algorithm>
#include <array>
#include <set>
#include <string_view>
#include <utility>

#include "base/require.h"
#include "models/hf/config_fields.h"

namespace sartor::gpt {
namespace {

using hf::Json;
using hf::JsonFields;

constexpr double highest = 1e12, highest_factor = 1e6;

constexpr auto types = std::to_array<std::pair<std::string_view, RotaryType>>({
    {"default", RotaryType::standard},
    {"linear", RotaryType::linear},
    {"dynamic", RotaryType::dynamic},
    {"yarn", RotaryType::yarn},
    {"llama3", RotaryType::llama3},
});

// Fields of one type are ignored by others.
constexpr std::string_view known[] = {
    "rope_type", "type",      "rope_theta",       "factor",          "original_max_position_embeddings",
    "beta_fast", "beta_slow", "mscale",           "mscale_all_dim",  "attention_factor",
    "truncate",  "finetuned", "high_freq_factor", "low_freq_factor", "partial_rotary_factor"};

// Fields outside of rope_scaling and rope_parameters.
struct Outside {
  std::optional<double> theta;
  std::optional<int64_t> original;
  int64_t max_position_embeddings;
};

bool has_original(RotaryType type) { return type == RotaryType::yarn || type == RotaryType::llama3; }

// The field of the object, or the one outside. Throws if they differ.
template <class Value> std::optional<Value> agreed(const JsonFields& fields, std::string_view name,
                                                   const std::optional<Value>& inside,
                                                   const std::optional<Value>& outside) {
  require(!inside || !outside || *inside == *outside, "{}: {} is {}, but {} outside of it", fields.source(), name,
          inside.value_or(0), outside.value_or(0));
  return inside ? inside : outside;
}

double required(JsonFields& fields, std::string_view name, double lowest) {
  const auto found = fields.number(name, lowest, highest_factor);
  require(found.has_value(), "{}: has no {}", fields.source(), name);
  return *found;
}

void read_yarn(JsonFields& fields, RotaryConfig& rotary) {
  // 0 is replaced by the default, as in transformers.
  const auto or_default = [&](std::string_view name, double otherwise) {
    const double found = fields.number(name, 0, highest).value_or(0);
    return found == 0 ? otherwise : found;
  };
  rotary.attention_factor = fields.number("attention_factor", 0, highest);
  rotary.mscale = fields.number("mscale", 0, highest);
  rotary.mscale_all_dim = fields.number("mscale_all_dim", 0, highest);
  rotary.beta_fast = or_default("beta_fast", 32);
  rotary.beta_slow = or_default("beta_slow", 1);
  rotary.truncate = fields.boolean("truncate").value_or(true);
  require(rotary.beta_fast >= rotary.beta_slow, "{}: beta_fast is {}, expected at least beta_slow, {}", fields.source(),
          rotary.beta_fast, rotary.beta_slow);
  require(rotary.theta > 1, "{}: rope_theta is {}, expected more than 1 for yarn", fields.source(), rotary.theta);
}

void read_llama3(JsonFields& fields, RotaryConfig& rotary) {
  rotary.low_freq_factor = required(fields, "low_freq_factor", 1e-6);
  rotary.high_freq_factor = required(fields, "high_freq_factor", 1e-6);
  require(rotary.high_freq_factor > rotary.low_freq_factor, "{}: high_freq_factor is {}, expected more than {}",
          fields.source(), rotary.high_freq_factor, rotary.low_freq_factor);
}

RotaryConfig parse_object(const Json& json, const std::string& source, const Outside& outside) {
  JsonFields fields(json, source);
  for (const auto& [name, value] : json.items()) {
    require(value.is_null() || std::ranges::find(known, std::string_view(name)) != std::end(known),
            "{}: {} is not supported", source, name);
  }
  fields.fixed("partial_rotary_factor", 1.0, "all of a head is rotated");
  RotaryConfig rotary;
  const auto older = fields.choice<RotaryType>("type", types), type = fields.choice<RotaryType>("rope_type", types);
  rotary.type = type ? *type : older.value_or(RotaryType::standard);
  rotary.theta = agreed(fields, "rope_theta", fields.number("rope_theta", 1, highest), outside.theta).value_or(10'000);
  if (rotary.type != RotaryType::standard) rotary.factor = required(fields, "factor", 1);
  if (has_original(rotary.type)) {
    constexpr const char* name = "original_max_position_embeddings";
    rotary.original_max_position_embeddings =
        agreed(fields, name, fields.integer(name, 1, hf::largest_size), outside.original)
            .value_or(outside.max_position_embeddings);
  }
  if (rotary.type == RotaryType::yarn) read_yarn(fields, rotary);
  if (rotary.type == RotaryType::llama3) read_llama3(fields, rotary);
  return rotary;
}

Json to_object(const RotaryConfig& rotary) {
  const auto* type = std::ranges::find(types, rotary.type, &std::pair<std::string_view, RotaryType>::second);
  Json json = {{"rope_type", type->first}};
  if (rotary.type != RotaryType::standard) json["factor"] = rotary.factor;
  if (has_original(rotary.type)) json["original_max_position_embeddings"] = rotary.original_max_position_embeddings;
  if (rotary.type == RotaryType::llama3) {
    json["low_freq_factor"] = rotary.low_freq_factor;
    json["high_freq_factor"] = rotary.high_freq_factor;
  }
  if (rotary.type != RotaryType::yarn) return json;
  if (rotary.attention_factor) json["attention_factor"] = *rotary.attention_factor;
  if (rotary.mscale) json["mscale"] = *rotary.mscale;
  if (rotary.mscale_all_dim) json["mscale_all_dim"] = *rotary.mscale_all_dim;
  json["beta_fast"] = rotary.beta_fast;
  json["beta_slow"] = rotary.beta_slow;
  if (!rotary.truncate) json["truncate"] = false;
  return json;
}

}  // namespace

int64_t RotaryConfig::longest_sequence(int64_t max_position_embeddings) const {
  const auto stretched = [&](int64_t positions) {
    return std::max(max_position_embeddings, static_cast<int64_t>(factor * static_cast<double>(positions)));
  };
  switch (type) {
    case RotaryType::standard:
    case RotaryType::llama3:  // max_position_embeddings counts the stretched positions
      return max_position_embeddings;
    case RotaryType::linear:
    case RotaryType::dynamic:
      return stretched(max_position_embeddings);
    case RotaryType::yarn:
      return stretched(original_max_position_embeddings);
  }
  return max_position_embeddings;
}

RotaryConfig parse_rotary(JsonFields& fields, int64_t max_position_embeddings) {
  fields.fixed("partial_rotary_factor", 1.0, "all of a head is rotated");
  fields.fixed("rope_interleaved", false, "rotation is by halves");
  const Outside outside = {.theta = fields.number("rope_theta", 1, highest),
                           .original = fields.integer("original_max_position_embeddings", 1, hf::largest_size),
                           .max_position_embeddings = max_position_embeddings};
  std::optional<RotaryConfig> found;
  for (const char* name : {"rope_scaling", "rope_parameters"}) {
    const Json* object = fields.take(name, &Json::is_object, "an object");
    if (!object || object->empty()) continue;
    const auto rotary = parse_object(*object, fields.source() + ": " + name, outside);
    require(!found || *found == rotary, "{}: rope_scaling and rope_parameters differ", fields.source());
    found = rotary;
  }
  if (found) return *found;
  return {.theta = outside.theta.value_or(10'000)};
}

void write_rotary(const RotaryConfig& rotary, Json& json) {
  auto parameters = to_object(rotary);
  json["rope_scaling"] = rotary.type == RotaryType::standard ? Json() : parameters;
  parameters["rope_theta"] = rotary.theta;
  json["rope_parameters"] = std::move(parameters);
  json["rope_theta"] = rotary.theta;
}

}  // namespace sartor::gpt
