#include "storage/json_fields.h"

#include <algorithm>
#include <stdexcept>

#include "base/utf8.h"

namespace sartor::datasets {

using nlohmann::json;

json parse_json(std::string_view text, std::string_view file) {
  try {
    return json::parse(text);
  } catch (const json::exception& error) {  // "[json.exception.parse_error.101] parse error at line 1, column 2: ..."
    const std::string_view what = error.what();
    throw std::invalid_argument(
        fmt::format("{}: is not JSON: {}", file, what.substr(std::min(what.size(), what.find("] ") + 2))));
  }
}

JsonField JsonField::operator[](const std::string& key) const {
  static const json nothing;
  check(value_.is_object(), "an object");
  const auto found = value_.find(key);
  return {file_, found == value_.end() ? nothing : *found, path_to(key)};
}

std::string JsonField::text() const {
  check(value_.is_string(), "a string");
  return value_.get<std::string>();
}

bool JsonField::flag() const {
  check(value_.is_boolean(), "true or false");
  return value_.get<bool>();
}

bool JsonField::flag_or(const std::string& key, bool otherwise) const {
  return has(key) ? (*this)[key].flag() : otherwise;
}

int64_t JsonField::integer(int64_t least, int64_t most) const {
  const bool held =
      value_.is_number_unsigned() ? value_.get<uint64_t>() <= uint64_t{INT64_MAX} : value_.is_number_integer();
  check(held && least <= value_.get<int64_t>() && value_.get<int64_t>() <= most,
        fmt::format("a whole number from {} to {}", least, most));
  return value_.get<int64_t>();
}

void JsonField::check_type(std::string_view expected) const {
  const JsonField type = (*this)["type"];
  type.check(type.value_.is_string() && type.value_ == expected, expected);
}

void JsonField::refuse(std::string_view expected) const {
  throw std::invalid_argument(
      fmt::format("{}: {} is {}, expected {}", file_, path_.empty() ? "the file" : path_, shown(), expected));
}

std::string JsonField::shown() const {
  constexpr size_t longest = 60;  // bytes
  if (value_.is_null()) return "missing or null";
  if (value_.is_structured()) return value_.type_name();
  std::string text = value_.dump(-1, ' ', false, json::error_handler_t::replace);
  if (text.size() > longest) text = text.substr(0, valid_utf8(std::string_view(text).substr(0, longest))) + "...";
  return text;
}

}  // namespace sartor::datasets
