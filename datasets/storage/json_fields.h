// Typed access to JSON files. Every error names the file, the path of the field, the value and the expectation, e.g.
// "tokenizer.json: model.vocab.the is -1, expected a whole number from 0 to 2147483647".
#pragma once

#include <cstdint>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>

#include "base/require.h"

namespace sartor::datasets {

// Throws std::invalid_argument if the text is not JSON. `file` is used in messages.
nlohmann::json parse_json(std::string_view text, std::string_view file);

// A value and its path in the file. Refers to the value and the file name without copying them. All functions throw
// std::invalid_argument if the value is not as expected.
class JsonField {
 public:
  JsonField(std::string_view file, const nlohmann::json& value, std::string path = "")
      : file_(file), value_(value), path_(std::move(path)) {}

  std::string_view file() const { return file_; }
  const nlohmann::json& value() const { return value_; }
  bool is_null() const { return value_.is_null(); }
  bool has(const std::string& key) const { return value_.is_object() && value_.contains(key); }

  // The field of an object; null if the key is absent.
  JsonField operator[](const std::string& key) const;

  // The element of an array, which must have it.
  JsonField at(size_t index) const { return {file_, value_.at(index), fmt::format("{}[{}]", path_, index)}; }

  // Calls use(JsonField) for each element of an array.
  template <class Use> void each(Use&& use) const {
    check(value_.is_array(), "a list");
    for (size_t i = 0; i < value_.size(); i++) use(at(i));
  }
  // Calls use(key, JsonField) for each field of an object.
  template <class Use> void each_key(Use&& use) const {
    check(value_.is_object(), "an object");
    for (auto at = value_.begin(); at != value_.end(); ++at)
      use(at.key(), JsonField(file_, at.value(), path_to(at.key())));
  }

  std::string text() const;
  bool flag() const;
  bool flag_or(const std::string& key, bool otherwise) const;  // the field of an object, which may lack it
  int64_t integer(int64_t least, int64_t most) const;

  // Maps this string to the choice of that name.
  template <class Choice> Choice one_of(std::initializer_list<std::pair<const char*, Choice>> choices) const {
    std::string names;
    for (const auto& [name, choice] : choices) {
      if (value_.is_string() && value_ == name) return choice;
      names += (names.empty() ? "" : ", ") + std::string(name);
    }
    refuse("one of " + names);
  }

  // Checks the field "type" of an object.
  void check_type(std::string_view expected) const;

  void check(bool holds, std::string_view expected) const {
    if (!holds) refuse(expected);
  }
  [[noreturn]] void refuse(std::string_view expected) const;

 private:
  std::string path_to(const std::string& key) const { return path_.empty() ? key : path_ + "." + key; }
  std::string shown() const;

  std::string_view file_;
  const nlohmann::json& value_;
  std::string path_;
};

}  // namespace sartor::datasets
