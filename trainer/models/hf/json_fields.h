// Typed access to the fields of a JSON object, with uniform error messages:
//
//   config.json: hidden_size: found a string, expected an integer
//   config.json: hidden_size is 0, expected 1 to 65536
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "models/hf/json.h"

namespace sartor::hf {

// Joins names: "bert, distilbert or electra".
std::string either(std::span<const std::string_view> names);

// A null field is treated as absent, and so is an empty name, which stands for a field that this file cannot have. All
// functions throw std::invalid_argument.
class JsonFields {
 public:
  // `json` must be an object and outlive this. `source` is the file name for messages.
  JsonFields(const Json& json, std::string source);

  const std::string& source() const { return source_; }

  bool has(std::string_view name) const { return json_.contains(name); }  // also if null
  const Json* take(std::string_view name);                                // of any kind; nullptr if absent
  // Requires a kind: take("pair", &Json::is_string, "a string or null").
  const Json* take(std::string_view name, bool (Json::*is_kind)() const noexcept, std::string_view expected);

  std::optional<int64_t> integer(std::string_view name, int64_t lowest, int64_t highest,
                                 std::string_view expected = "an integer");
  std::optional<double> number(std::string_view name, double lowest, double highest);
  std::optional<bool> boolean(std::string_view name);
  std::optional<std::string> text(std::string_view name, std::string_view expected = "a string");
  std::string required_text(std::string_view name);
  std::vector<std::string> texts(std::string_view name);  // an array; empty if absent

  // The value for the field's text.
  template <class T>
  std::optional<T> choice(std::string_view name, std::span<const std::pair<std::string_view, T>> choices) {
    const auto found = text(name);
    if (!found) return {};
    std::vector<std::string_view> names;
    for (const auto& [each, value] : choices) {
      if (each == *found) return value;
      names.push_back(each);
    }
    refuse_choice(name, *found, names);
  }

  // Requires the field, if it was not taken before, to have this value, because any other value would change the
  // computation.
  void fixed(std::string_view name, const Json& value, std::string_view why);

  // Names of the fields that were not taken, in the object's order.
  std::vector<std::string> untaken() const;

 private:
  [[noreturn]] void refuse_choice(std::string_view name, std::string_view found,
                                  const std::vector<std::string_view>& names) const;

  const Json& json_;
  const std::string source_;
  std::set<std::string, std::less<>> taken_;
};

}  // namespace sartor::hf
