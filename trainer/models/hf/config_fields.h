// What the configs of all models of transformers have in common.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/hf/json.h"
#include "models/hf/json_fields.h"

namespace sartor::hf {

// Upper bound of sizes in config.json, so that their products cannot overflow. Memory is allocated only after the
// shapes of the weights have been checked.
constexpr int64_t largest_size = int64_t{1} << 24;

// A field of config.json with another name than ours; `theirs` is empty if the family has no such field.
struct FieldName {
  std::string_view ours, theirs;
};
// The name in config.json.
std::string_view field_name(std::span<const FieldName> names, std::string_view ours);

// A field that must be absent, null, or equal to this value, because any other value would change the model.
struct FixedField {
  std::string_view name;
  Json value;
  std::string_view why;
};

// Fields that were not taken, to be written back unchanged.
struct KeptFields {
  Json all = Json::object();
  std::vector<std::string> unknown;  // names of those that may affect the computation, for a warning
};
// `neutral`: fields of this model, besides those that any model may have, that do not affect the computation.
KeptFields kept_fields(const Json& json, const JsonFields& fields, std::span<const std::string_view> neutral);

// The kept fields for a config that is written with weights of fp32.
Json written_fields(const Json& kept);

}  // namespace sartor::hf
