#include "models/hf/json_fields.h"

#include <fmt/ranges.h>

#include <functional>
#include <stdexcept>

#include "base/require.h"

namespace sartor::hf {

std::string either(std::span<const std::string_view> names) {
  std::string text;
  for (size_t i = 0; i < names.size(); i++) {
    text.append(i == 0 ? "" : i + 1 == names.size() ? " or " : ", ").append(names[i]);
  }
  return text;
}

JsonFields::JsonFields(const Json& json, std::string source) : json_(json), source_(std::move(source)) {
  require(json.is_object(), "{}: found {}, expected an object", source_, kind_of(json));
}

const Json* JsonFields::take(std::string_view name) {
  if (name.empty()) return nullptr;
  taken_.emplace(name);
  const auto found = json_.find(name);
  return found == json_.end() || found->is_null() ? nullptr : &*found;
}

const Json* JsonFields::take(std::string_view name, bool (Json::*is_kind)() const noexcept, std::string_view expected) {
  const Json* value = take(name);
  require(!value || (value->*is_kind)(), "{}: {}: found {}, expected {}", source_, name,
          value ? kind_of(*value) : "null", expected);
  return value;
}

std::optional<int64_t> JsonFields::integer(std::string_view name, int64_t lowest, int64_t highest,
                                           std::string_view expected) {
  const Json* value = take(name, &Json::is_number_integer, expected);
  if (!value) return {};
  const bool beyond = value->is_number_unsigned() && value->get<uint64_t>() > static_cast<uint64_t>(INT64_MAX);
  const int64_t number = beyond ? INT64_MAX : value->get<int64_t>();
  require(lowest <= number && number <= highest, "{}: {} is {}, expected {} to {}", source_, name, value->dump(),
          lowest, highest);
  return number;
}

std::optional<double> JsonFields::number(std::string_view name, double lowest, double highest) {
  const Json* value = take(name, &Json::is_number, "a number");
  if (!value) return {};
  const auto found = value->get<double>();
  require(lowest <= found && found <= highest, "{}: {} is {}, expected {} to {}", source_, name, found, lowest,
          highest);
  return found;
}

std::optional<bool> JsonFields::boolean(std::string_view name) {
  const Json* value = take(name, &Json::is_boolean, "true or false");
  return value ? std::optional(value->get<bool>()) : std::nullopt;
}

std::optional<std::string> JsonFields::text(std::string_view name, std::string_view expected) {
  const Json* value = take(name, &Json::is_string, expected);
  return value ? std::optional(value->get<std::string>()) : std::nullopt;
}

std::string JsonFields::required_text(std::string_view name) {
  auto found = text(name);
  require(found.has_value(), "{}: has no {}", source_, name);
  return std::move(*found);
}

std::vector<std::string> JsonFields::texts(std::string_view name) {
  std::vector<std::string> found;
  const Json* values = take(name, &Json::is_array, "an array of strings");
  if (!values) return found;
  for (const auto& value : *values) {
    require(value.is_string(), "{}: {}: found {}, expected a string", source_, name, kind_of(value));
    found.push_back(value.get<std::string>());
  }
  return found;
}

void JsonFields::fixed(std::string_view name, const Json& value, std::string_view why) {
  const Json* found = taken_.contains(name) ? nullptr : take(name);
  require(!found || *found == value, "{}: {} is {}, expected {}: {}", source_, name, found ? found->dump() : "null",
          value.dump(), why);
}

std::vector<std::string> JsonFields::untaken() const {
  std::vector<std::string> names;
  for (const auto& [name, value] : json_.items()) {
    if (!taken_.contains(name)) names.push_back(name);
  }
  return names;
}

void JsonFields::refuse_choice(std::string_view name, std::string_view found,
                               const std::vector<std::string_view>& names) const {
  constexpr size_t few = 4;
  const auto expected = names.size() <= few ? either(names) : fmt::format("one of {}", fmt::join(names, ", "));
  throw std::invalid_argument(fmt::format("{}: {} is {}, expected {}", source_, name, found, expected));
}

}  // namespace sartor::hf
